//! x[n, i s + u - p, j s + v - p, c] = sum over i, u, j, v, o of y[n, i, j, o] w[u, v, c, o]

use super::prelude::*;
use crate::ops::ConvTranspose2d;

pub(crate) fn conv_transpose2d<T: Element>(
    op: &ConvTranspose2d,
    inputs: &[TensorRef<'_, T>],
    x: TensorMut<'_, T>,
) {
    let (g, y, w) = (&op.geometry, inputs[0].data, inputs[1].data);
    x.data.fill(T::ZERO);
    taps(g, |image, kernel, feature| {
        for c in 0..g.in_c {
            let mut sum = x.data[image + c];
            for o in 0..g.out_c {
                sum += y[feature + o] * w[kernel + c * g.out_c + o];
            }
            x.data[image + c] = sum;
        }
    });
}
