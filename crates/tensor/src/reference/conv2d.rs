//! y[n, i, j, o] = sum over u, v, c of x[n, i s + u - p, j s + v - p, c] w[u, v, c, o]

use super::prelude::*;
use crate::ops::Conv2d;

pub(crate) fn conv2d<T: Element>(op: &Conv2d, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let (g, x, w) = (&op.geometry, inputs[0].data, inputs[1].data);
    y.data.fill(T::ZERO);
    taps(g, |image, kernel, feature| {
        for o in 0..g.out_c {
            let mut sum = y.data[feature + o];
            for c in 0..g.in_c {
                sum += x[image + c] * w[kernel + c * g.out_c + o];
            }
            y.data[feature + o] = sum;
        }
    });
}
