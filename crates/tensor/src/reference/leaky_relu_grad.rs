//! dx = dy for y > 0, negative_slope * dy otherwise

use super::prelude::*;
use crate::ops::LeakyReluGrad;

pub(crate) fn leaky_relu_grad<T: Element>(
    op: &LeakyReluGrad,
    inputs: &[TensorRef<'_, T>],
    dx: TensorMut<'_, T>,
) {
    let slope = T::of(op.negative_slope);
    zip(inputs[0], inputs[1], dx, |y, dy| if y > T::ZERO { dy } else { slope * dy });
}
