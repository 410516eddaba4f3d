//! y = scale / (1 + e^-x) + shift

use super::prelude::*;
use crate::ops::{Activation, FusedSigmoidAffine};

pub(crate) fn fused_sigmoid_affine<T: Element>(
    op: &FusedSigmoidAffine,
    inputs: &[TensorRef<'_, T>],
    y: TensorMut<'_, T>,
) {
    let (scale, shift) = (T::of(op.scale), T::of(op.shift));
    map(inputs[0], y, |x| scale * Activation::Sigmoid.eval(x) + shift);
}
