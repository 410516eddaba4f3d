//! A matrix product with bias and activation, or with the vjp of an activation.

use super::prelude::*;
use crate::ops::FusedMatMul;

pub(crate) fn fused_matmul<T: Element>(op: &FusedMatMul, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    super::matmul::matmul(&op.product(), inputs, TensorMut { data: y.data, shape: y.shape });
    epilogue(op.epilogue, inputs.get(2), y);
}
