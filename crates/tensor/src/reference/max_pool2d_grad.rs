//! dx = dy at the first largest element of each window of x

use super::prelude::*;
use crate::ops::MaxPool2dGrad;

pub(crate) fn max_pool2d_grad<T: Element>(
    op: &MaxPool2dGrad,
    inputs: &[TensorRef<'_, T>],
    dx: TensorMut<'_, T>,
) {
    let (x, dy) = (inputs[0].data, inputs[1].data);
    dx.data.fill(T::ZERO);
    windows(&op.geometry, |window, output| dx.data[largest(x, window)] += dy[output]);
}
