//! y = gamma (x - mean) / sqrt(variance + eps) + beta: batch normalisation (Ioffe and Szegedy 2015).

use crate::ops::prelude::*;
use crate::ops::{Activation, BatchNormGrad, BatchNormSums};

/// y = gamma (x - mean) / sqrt(variance + `eps`) + beta, per channel. Inputs: x [.., C], stats
/// [2 `groups`, C] as [`BatchStats`](super::BatchStats) gives them, gamma `[C]`, beta `[C]`.
///
/// In training mode the statistics are those of x, and the gradient of x takes that into account; the
/// statistics themselves then have no gradient. Otherwise they are constants of their own, such as running
/// statistics.
#[derive(Debug)]
pub struct BatchNorm {
    /// What keeps the root away from zero.
    pub eps: f64,
    /// Equal parts of the leading axis, each with statistics of its own.
    pub groups: usize,
    /// Whether `stats` are the statistics of x.
    pub training: bool,
}

impl Operation for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, stats, gamma, beta] = arity(inputs)?;
        check_groups(x, self.groups)?;
        check_stats(x, stats, self.groups)?;
        let per_channel = Shape::from([x.last()]);
        if gamma != per_channel || beta != per_channel {
            return Err(Error::new(format!(
                "expected gamma and beta of shape {per_channel} for x {x}, got {gamma} and {beta}"
            )));
        }
        Ok(x)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (x, stats, gamma, dy) = (cx.inputs[0], cx.inputs[1], cx.inputs[2], cx.cotangent);
        let (eps, groups) = (self.eps, self.groups);
        let sums = x.with(BatchNormSums { eps, groups }, &[dy, stats]);
        let parts = Parts::new(x, groups);
        let (sum_dy, sum_dy_xhat) = parts.rows(sums);
        let total = sums.reshape([groups, 2, parts.channels]).sum_to([1, 2, parts.channels].into());
        let dgamma = cx.want(2, || total.slice(1, 1, 2).reshape(gamma.shape()));
        let dbeta = cx.want(3, || total.slice(1, 0, 1).reshape(gamma.shape()));
        if self.training {
            let dx = || x.with(BatchNormGrad { eps, groups }, &[dy, stats, gamma, sums]);
            return Ok(vec![cx.want(0, dx), None, dgamma, dbeta]);
        }
        let (_, variance) = parts.rows(stats);
        let rstd = (variance + eps).sqrt().reciprocal();
        let dx = cx.want(0, || (parts.of(dy) * (rstd * gamma)).reshape(x.shape()));
        let dstats = cx.want(1, || {
            let dmean = -(sum_dy * gamma * rstd);
            let dvariance = sum_dy_xhat * gamma * rstd.square() * -0.5;
            Var::concat(&[dmean, dvariance], 1).reshape(stats.shape())
        });
        Ok(vec![dx, dstats, dgamma, dbeta])
    }

    fn decompose<'g>(&self, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let [x, stats, gamma, beta] = *inputs else { return None };
        let parts = Parts::new(x, self.groups);
        let xhat = parts.normalised(x, stats, self.eps);
        Some((xhat * gamma + beta).reshape(x.shape()))
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        2 * inputs[0].len() as u64
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, inputs: &[Shape], _output: Shape, in_place: bool) -> Option<Launch> {
        launch_batch_norm(self, None, inputs[0], in_place)
    }

    reference!(kernels::batch_norm::batch_norm);
}

/// Errors unless x has channels and a leading axis that is cut evenly.
pub(super) fn check_groups(x: Shape, groups: usize) -> Result<()> {
    if x.rank() < 2 || x.len() == 0 {
        return Err(Error::new(format!("expected at least a batch and a channel axis, got {x}")));
    }
    if groups == 0 || !x.dims()[0].is_multiple_of(groups) {
        return Err(Error::new(format!("a batch of {} cannot be cut into {groups} equal parts", x.dims()[0])));
    }
    Ok(())
}

/// Errors unless `stats` is a tensor of two rows per group.
pub(super) fn check_stats(x: Shape, stats: Shape, groups: usize) -> Result<()> {
    let expected = Shape::from([2 * groups, x.last()]);
    if stats != expected {
        return Err(Error::new(format!("expected statistics of shape {expected} for x {x}, got {stats}")));
    }
    Ok(())
}

/// A tensor [N, .., C] seen as [groups, count, C], and rows of statistics seen as [groups, 1, C].
pub(super) struct Parts {
    groups: usize,
    /// Elements of each channel in each group.
    pub(super) count: usize,
    channels: usize,
}

impl Parts {
    pub(super) fn new(x: Var<'_>, groups: usize) -> Parts {
        let channels = x.shape().last();
        Parts { groups, count: x.shape().len() / channels / groups, channels }
    }

    /// x as [groups, count, C].
    pub(super) fn of<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.reshape([self.groups, self.count, self.channels])
    }

    /// The even and the odd rows of [2 groups, C], each as [groups, 1, C].
    pub(super) fn rows<'g>(&self, stats: Var<'g>) -> (Var<'g>, Var<'g>) {
        let rows = stats.reshape([self.groups, 2, self.channels]);
        (rows.slice(1, 0, 1), rows.slice(1, 1, 2))
    }

    /// (x - mean) / sqrt(variance + eps), as [groups, count, C].
    pub(super) fn normalised<'g>(&self, x: Var<'g>, stats: Var<'g>, eps: f64) -> Var<'g> {
        let (mean, variance) = self.rows(stats);
        (self.of(x) - mean) * (variance + eps).sqrt().reciprocal()
    }
}

/// The dispatch of a normalisation with an activation.
pub(super) fn launch_batch_norm(
    op: &BatchNorm,
    activation: Option<Activation>,
    x: Shape,
    in_place: bool,
) -> Option<Launch> {
    let (params, _) = launch::channels(x, op.groups, op.eps);
    let (activation, slope) = launch::activation(activation);
    let params = shaders::ChannelsParams { activation, slope, ..params };
    let grid = launch::channels_grid(x, op.groups);
    Some(match in_place {
        false => {
            let arguments = [Input(0), Input(1), Input(2), Input(3), Output];
            Dispatch::new(shaders::BATCH_NORM, &params, grid, &arguments).into()
        }
        true => {
            let arguments = [Output, Input(1), Input(2), Input(3)];
            Dispatch::new(shaders::BATCH_NORM_IN_PLACE, &params, grid, &arguments).into()
        }
    })
}

impl<'g> Var<'g> {
    /// Batch normalisation in training mode: by the statistics of this batch itself, for each of `groups`
    /// equal parts of the batch. Returns the output and the statistics [2 groups, C].
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn batch_norm_train(self, gamma: Var<'g>, beta: Var<'g>, eps: f64, groups: usize) -> (Var<'g>, Var<'g>) {
        let stats = self.batch_stats(groups);
        (self.with(BatchNorm { eps, groups, training: true }, &[stats, gamma, beta]), stats)
    }

    /// Batch normalisation by given statistics [2, C] (rows mean and variance): inference mode.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn batch_norm(self, stats: Var<'g>, gamma: Var<'g>, beta: Var<'g>, eps: f64) -> Var<'g> {
        self.with(BatchNorm { eps, groups: 1, training: false }, &[stats, gamma, beta])
    }
}
