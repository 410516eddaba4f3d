//! v = momentum v + g, p = p - lr v

use super::prelude::*;
use crate::ops::Sgd;

pub(crate) fn sgd<T: Element>(op: &Sgd, inputs: &[TensorRef<'_, T>], new: TensorMut<'_, T>) {
    let (state, g, lr, momentum) = (inputs[0].data, inputs[1].data, inputs[2].data[0], T::of(op.momentum));
    let n = g.len();
    for i in 0..n {
        let v = momentum * state[n + i] + g[i];
        new.data[i] = state[i] - lr * v;
        new.data[n + i] = v;
    }
}
