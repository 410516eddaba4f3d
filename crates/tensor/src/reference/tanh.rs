//! y = tanh(x)

use super::prelude::*;
use crate::ops::Tanh;

pub(crate) fn tanh<T: Element>(_: &Tanh, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| x.tanh());
}
