//! Batch normalisation with a scale and a shift for each class.

use crate::layer::{Mode, State};
use crate::layers::batch_norm::{moving_statistics, update_moving};
use crate::layers::prelude::*;

/// [`BatchNorm`](super::BatchNorm) whose scale and shift depend on the class of the image (de Vries et al. 2017; Miyato
/// and Koyama 2018): `gamma` and `beta` are tables [classes, C].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConditionalBatchNorm {
    /// How many classes there are.
    pub classes: usize,
    /// Momentum and eps.
    #[serde(default)]
    pub batch_norm: super::BatchNorm,
}

impl ConditionalBatchNorm {
    /// Keras' momentum and eps for the given number of classes.
    pub fn new(classes: usize) -> ConditionalBatchNorm {
        ConditionalBatchNorm { classes, batch_norm: super::BatchNorm::new() }
    }
}

impl Layer for ConditionalBatchNorm {
    kind!("conditional_batch_norm");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if self.classes == 0 {
            return Err(Error::invalid("expected at least 1 class, got 0"));
        }
        self.batch_norm.output_shape(input)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        vec![
            Parameter::new("gamma", [self.classes, input.last()], Initialiser::Ones),
            Parameter::new("beta", [self.classes, input.last()], Initialiser::Zeros),
        ]
    }

    fn states(&self, input: Shape) -> Vec<State> {
        moving_statistics(input)
    }

    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let channels = x.shape().last();
        let (one, zero) = (cx.graph().fill([channels], 1.0), cx.graph().fill([channels], 0.0));
        let eps = self.batch_norm.eps;
        let xhat = match cx.pass().mode {
            Mode::Inference => x.batch_norm(cx.state("moving")?, one, zero, eps),
            Mode::Training { groups } => {
                let (y, stats) = x.batch_norm_train(one, zero, eps, groups);
                update_moving(stats, groups, self.batch_norm.momentum, cx)?;
                y
            }
        };
        // One row for each image, the same at every pixel.
        let mut dims = vec![1; x.shape().rank()];
        (dims[0], dims[x.shape().rank() - 1]) = (x.shape().dims()[0], channels);
        let rows = Shape::new(&dims)?;
        let (gamma, beta) = (cx.parameter("gamma")?, cx.parameter("beta")?);
        let gamma = cx.by_class(|labels| gamma.embedding(labels))?.reshape(rows);
        let beta = cx.by_class(|labels| beta.embedding(labels))?.reshape(rows);
        Ok(xhat * gamma + beta)
    }
}
