//! y = the inputs, flattened, at given offsets of one vector; zeros between them

use super::prelude::*;
use crate::ops::Pack;

pub(crate) fn pack<T: Element>(op: &Pack, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    y.data.fill(T::ZERO);
    for (x, &offset) in inputs.iter().zip(&op.offsets) {
        y.data[offset..offset + x.data.len()].copy_from_slice(x.data);
    }
}
