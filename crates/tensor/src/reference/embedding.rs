//! y[i] = table[ids[i]]

use super::prelude::*;
use crate::ops::Embedding;

pub(crate) fn embedding<T: Element>(_: &Embedding, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let (table, ids) = (inputs[0], inputs[1]);
    let width = y.shape.dims()[1];
    for (row, id) in y.data.chunks_exact_mut(width).zip(ids.data) {
        match position(*id, table.shape.dims()[0]) {
            Some(i) => row.copy_from_slice(&table.data[i * width..(i + 1) * width]),
            None => row.fill(T::ZERO),
        }
    }
}
