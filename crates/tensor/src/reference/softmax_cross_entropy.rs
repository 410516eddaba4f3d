//! loss[i] = ln(sum over c of e^x[i, c]) - x[i, ids[i]]

use super::prelude::*;
use crate::ops::SoftmaxCrossEntropy;

pub(crate) fn softmax_cross_entropy<T: Element>(
    _: &SoftmaxCrossEntropy,
    inputs: &[TensorRef<'_, T>],
    loss: TensorMut<'_, T>,
) {
    let (x, ids) = (inputs[0], inputs[1]);
    let classes = x.shape.last();
    for ((loss, x), id) in loss.data.iter_mut().zip(x.data.chunks_exact(classes)).zip(ids.data) {
        let top = x.iter().fold(x[0], |top, &v| top.max(v));
        let mut sum = T::ZERO;
        x.iter().for_each(|&v| sum += (v - top).exp());
        let picked = position(*id, classes).map_or(T::ZERO, |i| x[i]);
        *loss = sum.ln() + top - picked;
    }
}
