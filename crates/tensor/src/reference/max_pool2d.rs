//! y = the largest element of each window

use super::prelude::*;
use crate::ops::MaxPool2d;

pub(crate) fn max_pool2d<T: Element>(op: &MaxPool2d, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let x = inputs[0].data;
    windows(&op.geometry, |window, output| y.data[output] = x[largest(x, window)]);
}
