//! dx = dy divided evenly over the elements of each window

use super::prelude::*;
use crate::ops::AvgPool2dGrad;

pub(crate) fn avg_pool2d_grad<T: Element>(
    op: &AvgPool2dGrad,
    inputs: &[TensorRef<'_, T>],
    dx: TensorMut<'_, T>,
) {
    let dy = inputs[0].data;
    dx.data.fill(T::ZERO);
    windows(&op.geometry, |window, output| {
        let share = dy[output] / T::of(window.len() as f64);
        for &i in window {
            dx.data[i] += share;
        }
    });
}
