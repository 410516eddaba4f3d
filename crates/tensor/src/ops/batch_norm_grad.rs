//! dx = gamma rstd (dy - (sum(dy) + xhat sum(dy xhat)) / N): the vjp of batch_norm in training mode.

use crate::ops::prelude::*;
use crate::ops::batch_norm::{self, Parts};

/// dx = gamma / sqrt(variance + `eps`) (dy - (sum(dy) + xhat sum(dy xhat)) / N): the gradient of the input of
/// batch normalisation in training mode. Inputs: x [.., C], dy like x, stats [2 groups, C], gamma `[C]`, sums
/// [2 groups, C] from [`BatchNormSums`](super::BatchNormSums). N counts the elements of a channel in a group.
#[derive(Debug)]
pub struct BatchNormGrad {
    /// What keeps the root away from zero.
    pub eps: f64,
    /// Equal parts of the leading axis, each with statistics of its own.
    pub groups: usize,
}

impl Operation for BatchNormGrad {
    fn name(&self) -> &'static str {
        "batch_norm_grad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, dy, stats, gamma, sums] = arity(inputs)?;
        elementwise::<2>(&[x, dy])?;
        batch_norm::check_groups(x, self.groups)?;
        batch_norm::check_stats(x, stats, self.groups)?;
        batch_norm::check_stats(x, sums, self.groups)?;
        if gamma != Shape::from([x.last()]) {
            return Err(Error::new(format!("expected gamma of shape [{}], got {gamma}", x.last())));
        }
        Ok(x)
    }

    fn decompose<'g>(&self, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let [x, dy, stats, gamma, sums] = *inputs else { return None };
        let parts = Parts::new(x, self.groups);
        let (_, variance) = parts.rows(stats);
        let (sum_dy, sum_dy_xhat) = parts.rows(sums);
        let xhat = parts.normalised(x, stats, self.eps);
        let centred = parts.of(dy) - (sum_dy + xhat * sum_dy_xhat) / parts.count as f64;
        Some((centred * ((variance + self.eps).sqrt().reciprocal() * gamma)).reshape(x.shape()))
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        6 * inputs[0].len() as u64
    }

    fn in_place(&self) -> Option<usize> {
        Some(1)
    }

    fn launch(&self, inputs: &[Shape], _output: Shape, in_place: bool) -> Option<Launch> {
        let (params, _) = launch::channels(inputs[0], self.groups, self.eps);
        let grid = launch::channels_grid(inputs[0], self.groups);
        let (kernel, dy) = match in_place {
            false => (shaders::BATCH_NORM_GRAD, Some(Input(1))),
            true => (shaders::BATCH_NORM_GRAD_IN_PLACE, None),
        };
        let arguments: Vec<_> = [Input(0), Input(2), Input(3), Input(4), Output].into_iter().chain(dy).collect();
        Some(Dispatch::new(kernel, &params, grid, &arguments).into())
    }

    reference!(kernels::batch_norm_grad::batch_norm_grad);
}
