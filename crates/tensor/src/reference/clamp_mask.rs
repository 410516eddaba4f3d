//! dx = dy where low <= x <= high, 0 elsewhere

use super::prelude::*;
use crate::ops::ClampMask;

pub(crate) fn clamp_mask<T: Element>(op: &ClampMask, inputs: &[TensorRef<'_, T>], dx: TensorMut<'_, T>) {
    let (low, high) = (T::of(op.low), T::of(op.high));
    zip(inputs[0], inputs[1], dx, |x, dy| if x < low || x > high { T::ZERO } else { dy });
}
