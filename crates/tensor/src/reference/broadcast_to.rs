//! y = x stretched along axes of one element

use super::prelude::*;
use crate::ops::BroadcastTo;

pub(crate) fn broadcast_to<T: Element>(_: &BroadcastTo, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let x = inputs[0];
    let strides = x.shape.broadcast_strides(y.shape);
    for (value, index) in y.data.iter_mut().zip(indices(y.shape)) {
        *value = x.data[dot(&index, &strides)];
    }
}
