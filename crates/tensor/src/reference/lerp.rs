//! y = a + t (b - a)

use super::prelude::*;
use crate::ops::Lerp;

pub(crate) fn lerp<T: Element>(_: &Lerp, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let t = inputs[2].data[0];
    zip(inputs[0], inputs[1], y, |a, b| a + t * (b - a));
}
