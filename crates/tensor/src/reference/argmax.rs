//! The index of the first largest element along an axis

use super::prelude::*;
use crate::ops::Argmax;

pub(crate) fn argmax<T: Element>(op: &Argmax, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let x = inputs[0];
    let (length, inner) = (x.shape.dims()[op.axis], x.shape.strides()[op.axis]);
    for (i, y) in y.data.iter_mut().enumerate() {
        let start = i / inner * length * inner + i % inner;
        let at = |n: usize| x.data[start + n * inner];
        *y = T::of((1..length).fold(0, |best, n| if at(n) > at(best) { n } else { best }) as f64);
    }
}
