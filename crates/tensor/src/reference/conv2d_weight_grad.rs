//! w[u, v, c, o] = sum over n, i, j of x[n, i s + u - p, j s + v - p, c] y[n, i, j, o]

use super::prelude::*;
use crate::ops::Conv2dWeightGrad;

pub(crate) fn conv2d_weight_grad<T: Element>(
    op: &Conv2dWeightGrad,
    inputs: &[TensorRef<'_, T>],
    w: TensorMut<'_, T>,
) {
    let (g, x, y) = (&op.geometry, inputs[0].data, inputs[1].data);
    w.data.fill(T::ZERO);
    taps(g, |image, kernel, feature| {
        for c in 0..g.in_c {
            for o in 0..g.out_c {
                w.data[kernel + c * g.out_c + o] += x[image + c] * y[feature + o];
            }
        }
    });
}
