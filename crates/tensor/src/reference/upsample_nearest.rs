//! y[n, i, j, c] = x[n, i / f, j / f, c]

use super::prelude::*;
use crate::ops::UpsampleNearest;

pub(crate) fn upsample_nearest<T: Element>(
    op: &UpsampleNearest,
    inputs: &[TensorRef<'_, T>],
    y: TensorMut<'_, T>,
) {
    let x = inputs[0];
    let strides = x.shape.strides();
    for (value, mut index) in y.data.iter_mut().zip(indices(y.shape)) {
        index[1] /= op.factor[0];
        index[2] /= op.factor[1];
        *value = x.data[dot(&index, &strides)];
    }
}
