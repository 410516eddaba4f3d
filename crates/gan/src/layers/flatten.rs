//! All numbers of a sample in one row.

use crate::layers::prelude::*;

/// All numbers of a sample in one row, in row-major order: input of any shape, output `[n]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Flatten {}

impl Flatten {
    /// The layer; it has no options.
    pub fn new() -> Flatten {
        Flatten {}
    }
}

impl Layer for Flatten {
    kind!("flatten");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(Shape::new(&[input.len()])?)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let batch = x.shape().dims()[0];
        Ok(x.reshape([batch, x.shape().len() / batch]))
    }
}
