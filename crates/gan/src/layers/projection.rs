//! The projection discriminator's last layer.

use gannet_tensor::ops::MatMul;

use crate::layers::prelude::*;

/// The last layer of a projection discriminator (Miyato and Koyama 2018): logit = h `kernel` + `bias` +
/// <`embeddings[label]`, h>. Input h `[n]`, output `[1]`; kernel [n, 1], embeddings [classes, n].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Projection {
    /// How many classes there are.
    pub classes: usize,
    /// How the kernel and the embeddings start, if not as the model says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialiser: Option<Initialiser>,
}

impl Projection {
    /// A projection for the given number of classes.
    pub fn new(classes: usize) -> Projection {
        Projection { classes, initialiser: None }
    }

    /// How the kernel and the embeddings start.
    #[must_use]
    pub fn initialiser(mut self, initialiser: Initialiser) -> Projection {
        self.initialiser = Some(initialiser);
        self
    }
}

impl Layer for Projection {
    kind!("projection");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if input.rank() != 1 {
            return Err(Error::invalid(format!(
                "expected an input of shape [n], got {input}; put a flatten layer in front"
            )));
        }
        if self.classes == 0 {
            return Err(Error::invalid("expected at least 1 class, got 0"));
        }
        Ok(Shape::from([1]))
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        vec![
            Parameter::new("kernel", [input.len(), 1], self.initialiser),
            Parameter::new("bias", [1], Initialiser::Zeros),
            Parameter::new("embeddings", [self.classes, input.len()], self.initialiser),
        ]
    }

    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        // h's inner products with every class's row (plus the kernel) are one matrix product, small beside the
        // layers before; the one-hot label picks one of them. Gathering rows would cost several passes over [N, n].
        let rows = cx.parameter("embeddings")? + cx.parameter("kernel")?.reshape([1, x.shape().last()]);
        let scores = cx.graph().apply(MatMul { trans_a: false, trans_b: true }, &[x, rows])?;
        Ok((scores * cx.by_class(|labels| labels.one_hot(self.classes))?).sum(&[1]) + cx.parameter("bias")?)
    }
}
