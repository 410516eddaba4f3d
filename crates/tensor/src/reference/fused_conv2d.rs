//! A convolution with bias and activation, or with the vjp of an activation.

use super::prelude::*;
use crate::ops::FusedConv2d;

pub(crate) fn fused_conv2d<T: Element>(op: &FusedConv2d, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    super::conv2d::conv2d(&op.product(), inputs, TensorMut { data: y.data, shape: y.shape });
    epilogue(op.epilogue, inputs.get(2), y);
}
