//! A learnt tensor in place of the input.

use std::sync::Arc;

use crate::layers::prelude::*;

/// A learnt tensor, the same for every sample, in place of the input (Karras et al. 2019, "A Style-Based Generator
/// Architecture for Generative Adversarial Networks"). What samples differ by is read from outputs that were kept before, by
/// [`ModulatedConv2d`](super::ModulatedConv2d) for one. Any input, output of the given shape; `constant` of that shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Constant {
    /// The shape of a sample.
    pub shape: Vec<usize>,
    /// How the tensor starts.
    #[serde(default = "normal")]
    pub initialiser: Initialiser,
}

/// The paper's successor's (Karras et al. 2020).
fn normal() -> Initialiser {
    Initialiser::Normal { std: 1.0 }
}

impl Constant {
    /// A tensor of the given shape, which starts normal with variance 1.
    pub fn new(shape: impl Into<Vec<usize>>) -> Constant {
        Constant { shape: shape.into(), initialiser: normal() }
    }

    /// How the tensor starts.
    #[must_use]
    pub fn initialiser(mut self, initialiser: Initialiser) -> Constant {
        self.initialiser = initialiser;
        self
    }
}

impl Layer for Constant {
    kind!("constant");

    fn output_shape(&self, _input: Shape) -> Result<Shape> {
        Ok(Shape::new(&self.shape)?)
    }

    fn parameters(&self, _input: Shape) -> Vec<Parameter> {
        // The shape is known to be one.
        let shape = Shape::new(&self.shape).into_iter();
        shape.map(|shape| Parameter::new("constant", shape, self.initialiser)).collect()
    }

    fn bind(&self, _input: Shape, outputs: &mut Outputs) -> Result<Option<Arc<dyn Layer>>> {
        if outputs.is_empty() {
            return Err(Error::invalid(
                "all samples would be alike: expected { keep = { as = \"..\" } } before it, for later layers to read",
            ));
        }
        Ok(None)
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let dims: Vec<usize> = x.shape().dims().first().into_iter().chain(&self.shape).copied().collect();
        Ok(cx.parameter("constant")?.broadcast_to(Shape::new(&dims)?))
    }
}
