//! y = scale * x + shift

use super::prelude::*;
use crate::ops::Affine;

pub(crate) fn affine<T: Element>(op: &Affine, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let (scale, shift) = (T::of(op.scale), T::of(op.shift));
    map(inputs[0], y, |x| scale * x + shift);
}
