//! The largest element over axes; the reduced axes stay, with one element

use super::prelude::*;
use crate::ops::Max;

pub(crate) fn max<T: Element>(_: &Max, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let (x, shape) = (inputs[0], y.shape);
    let strides = shape.broadcast_strides(x.shape);
    y.data.fill(T::of(f64::NEG_INFINITY));
    for (value, index) in x.data.iter().zip(indices(x.shape)) {
        let largest = &mut y.data[dot(&index, &strides)];
        *largest = value.max(*largest);
    }
}
