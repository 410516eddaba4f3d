//! y[i, c] = e^x[i, c] / sum over c of e^x[i, c]

use super::prelude::*;
use crate::ops::Softmax;

pub(crate) fn softmax<T: Element>(_: &Softmax, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let x = inputs[0];
    let classes = x.shape.last();
    for (y, x) in y.data.chunks_exact_mut(classes).zip(x.data.chunks_exact(classes)) {
        let top = x.iter().fold(x[0], |top, &v| top.max(v));
        let mut sum = T::ZERO;
        for (y, x) in y.iter_mut().zip(x) {
            *y = (*x - top).exp();
            sum += *y;
        }
        y.iter_mut().for_each(|y| *y = *y / sum);
    }
}
