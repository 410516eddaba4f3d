//! y = sqrt(x)

use super::prelude::*;
use crate::ops::Sqrt;

pub(crate) fn sqrt<T: Element>(_: &Sqrt, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| x.sqrt());
}
