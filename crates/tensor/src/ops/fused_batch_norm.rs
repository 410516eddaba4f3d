//! Batch normalisation with an activation.

use crate::ops::batch_norm::launch_batch_norm;
use crate::ops::prelude::*;
use crate::ops::{Activation, BatchNorm};

/// [`BatchNorm`] with an activation. Inputs: x, stats, gamma, beta.
#[derive(Debug)]
pub struct FusedBatchNorm {
    /// What keeps the root away from zero.
    pub eps: f64,
    /// Equal parts of the leading axis, each with statistics of its own.
    pub groups: usize,
    /// Whether `stats` are the statistics of x.
    pub training: bool,
    /// What is applied to the result.
    pub activation: Activation,
}

impl FusedBatchNorm {
    /// The normalisation without its activation.
    pub fn batch_norm(&self) -> BatchNorm {
        BatchNorm { eps: self.eps, groups: self.groups, training: self.training }
    }
}

impl Operation for FusedBatchNorm {
    fn name(&self) -> &'static str {
        "fused_batch_norm"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        self.batch_norm().shape(inputs)
    }

    fn decompose<'g>(&self, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let [x, rest @ ..] = inputs else { return None };
        Some(self.activation.apply(x.with(self.batch_norm(), rest)))
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        4 * inputs[0].len() as u64
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, inputs: &[Shape], _output: Shape, in_place: bool) -> Option<Launch> {
        launch_batch_norm(&self.batch_norm(), Some(self.activation), inputs[0], in_place)
    }

    reference!(kernels::fused_batch_norm::fused_batch_norm);
}
