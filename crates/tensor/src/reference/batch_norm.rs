//! y = gamma (x - mean) / sqrt(variance + eps) + beta

use super::prelude::*;
use crate::ops::BatchNorm;

pub(crate) fn batch_norm<T: Element>(op: &BatchNorm, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let [x, stats, gamma, beta] = [0, 1, 2, 3].map(|i| inputs[i].data);
    let norm = Normaliser::new(inputs[0].shape, stats, op.groups, op.eps);
    for (i, (y, x)) in y.data.iter_mut().zip(x).enumerate() {
        let c = norm.channel(i);
        *y = gamma[c] * norm.xhat(i, *x) + beta[c];
    }
}
