//! y = x[.., start..end, ..] along one axis

use super::prelude::*;
use crate::ops::Slice;

pub(crate) fn slice<T: Element>(op: &Slice, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let x = inputs[0];
    let strides = x.shape.strides();
    for (value, mut index) in y.data.iter_mut().zip(indices(y.shape)) {
        index[op.axis] += op.start;
        *value = x.data[dot(&index, &strides)];
    }
}
