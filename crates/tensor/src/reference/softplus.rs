//! y = ln(1 + e^x), computed as max(x, 0) + ln(1 + e^-|x|), which neither overflows nor cancels

use super::prelude::*;
use crate::ops::Softplus;

pub(crate) fn softplus<T: Element>(_: &Softplus, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| x.max(T::ZERO) + (-x.abs()).exp().ln_1p());
}
