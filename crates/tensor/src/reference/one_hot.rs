//! y[i, v] = 1 where ids[i] = v, 0 elsewhere

use super::prelude::*;
use crate::ops::OneHot;

pub(crate) fn one_hot<T: Element>(op: &OneHot, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    y.data.fill(T::ZERO);
    for (row, id) in y.data.chunks_exact_mut(op.depth).zip(inputs[0].data) {
        if let Some(i) = position(*id, op.depth) {
            row[i] = T::ONE;
        }
    }
}
