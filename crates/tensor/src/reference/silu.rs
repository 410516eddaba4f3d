//! y = x sigmoid(x), with an exponential that does not overflow

use super::prelude::*;
use crate::ops::Silu;

pub(crate) fn silu<T: Element>(_: &Silu, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| {
        let e = (-x.abs()).exp();
        x * (if x > T::ZERO { T::ONE } else { e }) / (T::ONE + e)
    });
}
