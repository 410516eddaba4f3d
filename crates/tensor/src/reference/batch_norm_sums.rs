//! sum(dy) and sum(dy xhat) per channel

use super::prelude::*;
use crate::ops::BatchNormSums;

pub(crate) fn batch_norm_sums<T: Element>(
    op: &BatchNormSums,
    inputs: &[TensorRef<'_, T>],
    sums: TensorMut<'_, T>,
) {
    let (x, dy) = (inputs[0].data, inputs[1].data);
    let norm = Normaliser::new(inputs[0].shape, inputs[2].data, op.groups, op.eps);
    sums.data.fill(T::ZERO);
    for (i, (x, dy)) in x.iter().zip(dy).enumerate() {
        let row = norm.row(i);
        sums.data[row] += *dy;
        sums.data[row + norm.channels] += *dy * norm.xhat(i, *x);
    }
}
