//! dx = gamma rstd (dy - (sum(dy) + xhat sum(dy xhat)) / N)

use super::prelude::*;
use crate::ops::BatchNormGrad;

pub(crate) fn batch_norm_grad<T: Element>(
    op: &BatchNormGrad,
    inputs: &[TensorRef<'_, T>],
    dx: TensorMut<'_, T>,
) {
    let [x, dy, stats, gamma, sums] = [0, 1, 2, 3, 4].map(|i| inputs[i].data);
    let norm = Normaliser::new(inputs[0].shape, stats, op.groups, op.eps);
    let count = T::of((norm.part / norm.channels) as f64);
    for (i, dx) in dx.data.iter_mut().enumerate() {
        let row = norm.row(i);
        let mean = (sums[row] + norm.xhat(i, x[i]) * sums[row + norm.channels]) / count;
        *dx = gamma[norm.channel(i)] * norm.rstd(i) * (dy[i] - mean);
    }
}
