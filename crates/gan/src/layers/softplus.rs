//! ln(1 + e^x).

use crate::layers::prelude::*;

/// ln(1 + e^x), a smooth form of max(x, 0). Element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softplus {}

impl Softplus {
    /// The layer; it has no options.
    pub fn new() -> Softplus {
        Softplus {}
    }
}

impl Layer for Softplus {
    kind!("softplus");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(Activation::Softplus.apply(x))
    }
}
