//! Hyperbolic tangent.

use crate::layers::prelude::*;

/// Hyperbolic tangent. Element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tanh {}

impl Tanh {
    /// The layer; it has no options.
    pub fn new() -> Tanh {
        Tanh {}
    }
}

impl Layer for Tanh {
    kind!("tanh");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(x.tanh())
    }
}
