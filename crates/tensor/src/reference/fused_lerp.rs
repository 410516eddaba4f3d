//! y = a, then y = y + t (b - y) for each b

use super::prelude::*;
use crate::ops::FusedLerp;

pub(crate) fn fused_lerp<T: Element>(_: &FusedLerp, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let [a, b @ .., t] = inputs else { return };
    for (i, y) in y.data.iter_mut().enumerate() {
        *y = a.data[i];
        for b in b {
            *y = *y + t.data[0] * (b.data[i] - *y);
        }
    }
}
