//! table[v] = sum of dy[i] over all i with ids[i] = v

use super::prelude::*;
use crate::ops::EmbeddingGrad;

pub(crate) fn embedding_grad<T: Element>(
    op: &EmbeddingGrad,
    inputs: &[TensorRef<'_, T>],
    table: TensorMut<'_, T>,
) {
    let (ids, dy) = (inputs[0], inputs[1]);
    let width = dy.shape.dims()[1];
    table.data.fill(T::ZERO);
    for (id, row) in ids.data.iter().zip(dy.data.chunks_exact(width)) {
        let Some(i) = position(*id, op.rows) else { continue };
        for (sum, value) in table.data[i * width..(i + 1) * width].iter_mut().zip(row) {
            *sum += *value;
        }
    }
}
