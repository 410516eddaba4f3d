//! y = the mean of each window

use super::prelude::*;
use crate::ops::AvgPool2d;

pub(crate) fn avg_pool2d<T: Element>(op: &AvgPool2d, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let x = inputs[0].data;
    windows(&op.geometry, |window, output| {
        let mut sum = T::ZERO;
        for &i in window {
            sum += x[i];
        }
        y.data[output] = sum / T::of(window.len() as f64);
    });
}
