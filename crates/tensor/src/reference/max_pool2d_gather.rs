//! y = c at the position of the first largest element of each window of x

use super::prelude::*;
use crate::ops::MaxPool2dGather;

pub(crate) fn max_pool2d_gather<T: Element>(
    op: &MaxPool2dGather,
    inputs: &[TensorRef<'_, T>],
    y: TensorMut<'_, T>,
) {
    let (x, c) = (inputs[0].data, inputs[1].data);
    windows(&op.geometry, |window, output| y.data[output] = c[largest(x, window)]);
}
