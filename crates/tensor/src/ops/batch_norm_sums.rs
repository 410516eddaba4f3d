//! sum(dy) and sum(dy xhat) per channel: all that the backward pass of batch_norm must reduce.

use crate::ops::prelude::*;
use crate::ops::batch_norm::{self, Parts};

/// sum(dy) and sum(dy xhat) per channel, where xhat = (x - mean) / sqrt(variance + `eps`): all that the
/// backward pass of [`BatchNorm`](super::BatchNorm) must reduce. Inputs: x [.., C], dy like x, stats [2 groups, C]; output
/// [2 groups, C] with rows sum(dy), sum(dy xhat) for each group.
#[derive(Debug)]
pub struct BatchNormSums {
    /// What keeps the root away from zero.
    pub eps: f64,
    /// Equal parts of the leading axis, each with statistics of its own.
    pub groups: usize,
}

impl Operation for BatchNormSums {
    fn name(&self) -> &'static str {
        "batch_norm_sums"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, dy, stats] = arity(inputs)?;
        elementwise::<2>(&[x, dy])?;
        batch_norm::check_groups(x, self.groups)?;
        batch_norm::check_stats(x, stats, self.groups)?;
        Ok(stats)
    }

    fn decompose<'g>(&self, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let [x, dy, stats] = *inputs else { return None };
        let parts = Parts::new(x, self.groups);
        let (xhat, dy) = (parts.normalised(x, stats, self.eps), parts.of(dy));
        let rows = [dy.sum(&[1]), (dy * xhat).sum(&[1])];
        Some(Var::concat(&rows, 1).reshape(stats.shape()))
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        4 * inputs[0].len() as u64
    }

    fn launch(&self, inputs: &[Shape], _output: Shape, _in_place: bool) -> Option<Launch> {
        let (params, grid) = launch::channels(inputs[0], self.groups, self.eps);
        let (chunks, channels) = (params.chunks as usize, params.channels as usize);
        let to = if chunks > 1 { Scratch(0) } else { Output };
        let arguments = [Input(0), Input(1), Input(2), to];
        let mut launch = Launch::from(Dispatch::new(shaders::BATCH_NORM_SUMS, &params, grid, &arguments));
        if chunks > 1 {
            let partial = [self.groups, chunks, 2 * channels];
            launch.scratch.push(partial.iter().product());
            launch::sum(Scratch(0), &partial, &|axis| axis == 1, &mut launch);
        }
        Some(launch)
    }

    reference!(kernels::batch_norm_sums::batch_norm_sums);
}
