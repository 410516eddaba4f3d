//! loss = max(x, 0) - x t + ln(1 + e^-|x|)

use super::prelude::*;
use crate::ops::BceLogits;

pub(crate) fn bce_logits<T: Element>(_: &BceLogits, inputs: &[TensorRef<'_, T>], loss: TensorMut<'_, T>) {
    zip(inputs[0], inputs[1], loss, |x, t| x.max(T::ZERO) - x * t + (-x.abs()).exp().ln_1p());
}
