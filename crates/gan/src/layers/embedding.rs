//! A vector for each whole number.

use crate::layers::prelude::*;

/// A trained vector of `dim` numbers for each of the whole numbers 0..`vocabulary`: Keras' Embedding. Input of
/// any shape (the numbers, as floats), output [.., dim]; table `embeddings` [vocabulary, dim].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Embedding {
    /// How many numbers there are.
    pub vocabulary: usize,
    /// The length of a vector.
    pub dim: usize,
    /// How the table starts.
    #[serde(default = "spread")]
    pub initialiser: Initialiser,
}

/// Keras' default: uniform in ±0.05.
fn spread() -> Initialiser {
    Initialiser::Uniform { limit: 0.05 }
}

impl Embedding {
    /// Vectors of `dim` numbers for 0..`vocabulary`.
    pub fn new(vocabulary: usize, dim: usize) -> Embedding {
        Embedding { vocabulary, dim, initialiser: spread() }
    }
}

impl Layer for Embedding {
    kind!("embedding");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if self.vocabulary == 0 || self.dim == 0 {
            return Err(Error::invalid(format!(
                "vocabulary and dim must be at least 1, got {} and {}",
                self.vocabulary, self.dim
            )));
        }
        let dims: Vec<usize> = input.dims().iter().copied().chain([self.dim]).collect();
        Ok(Shape::new(&dims)?)
    }

    fn parameters(&self, _input: Shape) -> Vec<Parameter> {
        vec![Parameter::new("embeddings", [self.vocabulary, self.dim], self.initialiser)]
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let dims: Vec<usize> = x.shape().dims().iter().copied().chain([self.dim]).collect();
        let rows = cx.parameter("embeddings")?.embedding(x.reshape([x.shape().len()]));
        Ok(rows.reshape(Shape::new(&dims)?))
    }
}
