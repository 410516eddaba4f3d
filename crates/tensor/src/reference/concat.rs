//! y = the inputs one after another along one axis

use super::prelude::*;
use crate::ops::Concat;

pub(crate) fn concat<T: Element>(op: &Concat, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let strides = y.shape.strides();
    let mut start = 0;
    for x in inputs {
        for (value, mut index) in x.data.iter().zip(indices(x.shape)) {
            index[op.axis] += start;
            y.data[dot(&index, &strides)] = *value;
        }
        start += x.shape.dims()[op.axis];
    }
}
