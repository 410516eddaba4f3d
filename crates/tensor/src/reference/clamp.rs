//! y = min(max(x, low), high)

use super::prelude::*;
use crate::ops::Clamp;

pub(crate) fn clamp<T: Element>(op: &Clamp, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let (low, high) = (T::of(op.low), T::of(op.high));
    map(inputs[0], y, |x| {
        if x < low {
            low
        } else if x > high {
            high
        } else {
            x
        }
    });
}
