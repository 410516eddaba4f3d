//! The same numbers under another shape.

use crate::layers::prelude::*;

/// The same numbers, in row-major order, under another shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Reshape {
    /// The shape of a sample.
    pub shape: Vec<usize>,
}

impl Reshape {
    /// Samples of the given shape.
    pub fn new(shape: impl Into<Vec<usize>>) -> Reshape {
        Reshape { shape: shape.into() }
    }
}

impl Layer for Reshape {
    kind!("reshape");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let output = Shape::new(&self.shape)?;
        if output.len() != input.len() {
            return Err(Error::invalid(format!(
                "the input {input} has {} numbers, the shape {output} takes {}",
                input.len(),
                output.len()
            )));
        }
        Ok(output)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let dims: Vec<usize> =
            std::iter::once(x.shape().dims()[0]).chain(self.shape.iter().copied()).collect();
        Ok(x.reshape(Shape::new(&dims)?))
    }
}
