//! Mean and biased variance of every channel.

use crate::ops::prelude::*;
use crate::ops::batch_norm::{self, Parts};

/// Mean and biased variance of every channel of x [.., C], for each of `groups` equal parts of the leading
/// axis. Output [2 groups, C]: rows mean_0, variance_0, mean_1, variance_1, and so on.
#[derive(Debug)]
pub struct BatchStats {
    /// Equal parts of the leading axis, each with statistics of its own.
    pub groups: usize,
}

impl Operation for BatchStats {
    fn name(&self) -> &'static str {
        "batch_stats"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        batch_norm::check_groups(x, self.groups)?;
        Ok(Shape::from([2 * self.groups, x.last()]))
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let parts = Parts::new(cx.inputs[0], self.groups);
        let (mean, _) = parts.rows(cx.output);
        let (dmean, dvariance) = parts.rows(cx.cotangent);
        let dx = (dmean + (parts.of(cx.inputs[0]) - mean) * dvariance * 2.0) / parts.count as f64;
        Ok(vec![Some(dx.reshape(cx.inputs[0].shape()))])
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        4 * inputs[0].len() as u64
    }

    fn launch(&self, inputs: &[Shape], _output: Shape, _in_place: bool) -> Option<Launch> {
        let (params, grid) = launch::channels(inputs[0], self.groups, 0.0);
        if params.chunks == 1 {
            return Some(Dispatch::new(shaders::BATCH_STATS_FINAL, &params, grid, &[Input(0), Output]).into());
        }
        let groups = size(self.groups);
        let partial = Dispatch::new(shaders::BATCH_STATS_PARTIAL, &params, grid, &[Input(0), Scratch(0)]);
        let grid = [params.channels.div_ceil(64), 1, groups];
        let merge = Dispatch::new(shaders::BATCH_STATS_MERGE, &params, grid, &[Scratch(0), Output, Input(0)]);
        let scratch = vec![(groups * params.chunks * 2 * params.channels) as usize];
        Some(Launch { dispatches: vec![partial, merge], scratch })
    }

    reference!(kernels::batch_stats::batch_stats);
}

impl<'g> Var<'g> {
    /// Mean and biased variance of every channel (last axis), for each of `groups` equal parts of the leading
    /// axis: [2 groups, C], rows mean_0, variance_0, mean_1, variance_1, and so on.
    ///
    /// # Panics
    /// When the leading axis cannot be cut into `groups` equal parts.
    #[track_caller]
    pub fn batch_stats(self, groups: usize) -> Var<'g> {
        self.with(BatchStats { groups }, &[])
    }
}
