//! The Gaussian error linear unit.

use crate::layers::prelude::*;

/// The Gaussian error linear unit (Hendrycks and Gimpel 2016), without approximation: x (1 + erf(x / sqrt(2))) / 2.
/// Element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gelu {}

impl Gelu {
    /// The layer; it has no options.
    pub fn new() -> Gelu {
        Gelu {}
    }
}

impl Layer for Gelu {
    kind!("gelu");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(Activation::Gelu.apply(x))
    }
}
