//! y = |x|

use super::prelude::*;
use crate::ops::Abs;

pub(crate) fn abs<T: Element>(_: &Abs, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| x.abs());
}
