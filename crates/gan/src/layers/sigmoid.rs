//! Logistic sigmoid, 1 / (1 + e^-x).

use crate::layers::prelude::*;

/// Logistic sigmoid, 1 / (1 + e^-x). Element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Sigmoid {}

impl Sigmoid {
    /// The layer; it has no options.
    pub fn new() -> Sigmoid {
        Sigmoid {}
    }
}

impl Layer for Sigmoid {
    kind!("sigmoid");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(x.sigmoid())
    }
}
