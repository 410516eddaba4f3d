//! y = -1, 0 or 1, as x is negative, zero or positive

use super::prelude::*;
use crate::ops::Sign;

pub(crate) fn sign<T: Element>(_: &Sign, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| {
        if x > T::ZERO {
            T::ONE
        } else if x < T::ZERO {
            -T::ONE
        } else {
            T::ZERO
        }
    });
}
