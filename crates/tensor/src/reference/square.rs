//! y = x^2

use super::prelude::*;
use crate::ops::Square;

pub(crate) fn square<T: Element>(_: &Square, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| x * x);
}
