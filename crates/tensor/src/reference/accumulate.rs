//! y = a + b

use super::prelude::*;
use crate::ops::Accumulate;

pub(crate) fn accumulate<T: Element>(_: &Accumulate, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    zip(inputs[0], inputs[1], y, |a, b| a + b);
}
