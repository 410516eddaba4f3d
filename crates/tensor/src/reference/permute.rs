//! y = x with its axes in another order

use super::prelude::*;
use crate::ops::Permute;

pub(crate) fn permute<T: Element>(op: &Permute, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let x = inputs[0];
    let from = x.shape.strides();
    let mut strides = [0; MAX_RANK];
    for (to, &axis) in op.axes.iter().enumerate() {
        strides[to] = from[axis];
    }
    for (value, index) in y.data.iter_mut().zip(indices(y.shape)) {
        *value = x.data[dot(&index, &strides)];
    }
}
