//! m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, p = p - step_size m / (sqrt(v) + eps)

use super::prelude::*;
use crate::ops::Adam;

pub(crate) fn adam<T: Element>(op: &Adam, inputs: &[TensorRef<'_, T>], new: TensorMut<'_, T>) {
    let (state, g, step_size, eps) = (inputs[0].data, inputs[1].data, inputs[2].data[0], inputs[2].data[1]);
    let (beta1, beta2) = (T::of(op.beta1), T::of(op.beta2));
    let (rest1, rest2) = (T::of(1.0 - op.beta1), T::of(1.0 - op.beta2));
    let n = g.len();
    for i in 0..n {
        let m = beta1 * state[n + i] + rest1 * g[i];
        let v = beta2 * state[2 * n + i] + rest2 * g[i] * g[i];
        new.data[i] = state[i] - step_size * m / (v.sqrt() + eps);
        new.data[n + i] = m;
        new.data[2 * n + i] = v;
    }
}
