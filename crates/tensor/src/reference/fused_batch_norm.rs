//! y = activation(gamma (x - mean) / sqrt(variance + eps) + beta)

use super::prelude::*;
use crate::ops::FusedBatchNorm;

pub(crate) fn fused_batch_norm<T: Element>(
    op: &FusedBatchNorm,
    inputs: &[TensorRef<'_, T>],
    y: TensorMut<'_, T>,
) {
    super::batch_norm::batch_norm(&op.batch_norm(), inputs, TensorMut { data: y.data, shape: y.shape });
    y.data.iter_mut().for_each(|y| *y = op.activation.eval(*y));
}
