//! Sum over axes; the summed axes stay, with one element

use super::prelude::*;
use crate::ops::Sum;

pub(crate) fn sum<T: Element>(_: &Sum, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let (x, shape) = (inputs[0], y.shape);
    let strides = shape.broadcast_strides(x.shape);
    y.data.fill(T::ZERO);
    for (value, index) in x.data.iter().zip(indices(x.shape)) {
        y.data[dot(&index, &strides)] += *value;
    }
}
