//! A transposed convolution with bias and activation, or with the vjp of an activation.

use super::prelude::*;
use crate::ops::FusedConvTranspose2d;

pub(crate) fn fused_conv_transpose2d<T: Element>(
    op: &FusedConvTranspose2d,
    inputs: &[TensorRef<'_, T>],
    y: TensorMut<'_, T>,
) {
    super::conv_transpose2d::conv_transpose2d(
        &op.product(),
        inputs,
        TensorMut { data: y.data, shape: y.shape },
    );
    epilogue(op.epilogue, inputs.get(2), y);
}
