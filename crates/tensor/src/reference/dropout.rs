//! y[i] = x[i] / (1 - rate) where hash(i) >= rate, 0 elsewhere

use super::prelude::*;
use crate::ops::Dropout;

pub(crate) fn dropout<T: Element>(op: &Dropout, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let (x, counter) = (inputs[0].data, inputs[1].data[0].to_f64() as u32);
    let scale = T::ONE / (T::ONE - T::of(op.rate));
    for (i, (y, x)) in y.data.iter_mut().zip(x).enumerate() {
        let keep = Dropout::hash(op.seed, counter, i as u32) >> 8 >= op.threshold();
        *y = if keep { *x * scale } else { T::ZERO };
    }
}
