//! max(x, 0).

use crate::layers::prelude::*;

/// max(x, 0). Element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Relu {}

impl Relu {
    /// The layer; it has no options.
    pub fn new() -> Relu {
        Relu {}
    }
}

impl Layer for Relu {
    kind!("relu");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(x.relu())
    }
}
