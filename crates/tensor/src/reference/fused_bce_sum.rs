//! loss = scale sum(max(x, 0) - x t + ln(1 + e^-|x|))

use super::prelude::*;
use crate::ops::FusedBceSum;

pub(crate) fn fused_bce_sum<T: Element>(
    op: &FusedBceSum,
    inputs: &[TensorRef<'_, T>],
    loss: TensorMut<'_, T>,
) {
    let mut sum = T::ZERO;
    for (&x, &t) in inputs[0].data.iter().zip(inputs[1].data) {
        sum += x.max(T::ZERO) - x * t + (-x.abs()).exp().ln_1p();
    }
    loss.data[0] = T::of(op.scale) * sum;
}
