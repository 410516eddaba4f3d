//! y = 1 / x

use super::prelude::*;
use crate::ops::Reciprocal;

pub(crate) fn reciprocal<T: Element>(_: &Reciprocal, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| T::ONE / x);
}
