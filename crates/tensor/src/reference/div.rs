//! y = a / b, with broadcasting

use super::prelude::*;
use crate::ops::Div;

pub(crate) fn div<T: Element>(_: &Div, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    zip_broadcast(inputs[0], inputs[1], y, |a, b| a / b);
}
