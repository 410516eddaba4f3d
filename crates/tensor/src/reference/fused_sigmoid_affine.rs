//! y = scale / (1 + e^-x) + shift

use super::prelude::*;
use crate::ops::{Activation, FusedSigmoidAffine};

/// For positive x from sigmoid(x) = 1 - sigmoid(-x), which keeps its digits when the sigmoid is nearly 1 and shift is
/// -scale: the gradient of a cross-entropy whose target is 1.
pub(crate) fn fused_sigmoid_affine<T: Element>(
    op: &FusedSigmoidAffine,
    inputs: &[TensorRef<'_, T>],
    y: TensorMut<'_, T>,
) {
    let (scale, shift, sum) = (T::of(op.scale), T::of(op.shift), T::of(op.scale + op.shift));
    map(inputs[0], y, |x| match x > T::ZERO {
        true => sum - scale * Activation::Sigmoid.eval(-x),
        false => scale * Activation::Sigmoid.eval(x) + shift,
    });
}
