//! x / (1 + e^-x).

use crate::layers::prelude::*;

/// The sigmoid linear unit, or swish (Elfwing et al. 2017): x / (1 + e^-x). Element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silu {}

impl Silu {
    /// The layer; it has no options.
    pub fn new() -> Silu {
        Silu {}
    }
}

impl Layer for Silu {
    kind!("silu");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(Activation::Silu.apply(x))
    }
}
