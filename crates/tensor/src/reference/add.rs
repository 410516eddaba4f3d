//! y = a + b, with broadcasting

use super::prelude::*;
use crate::ops::Add;

pub(crate) fn add<T: Element>(_: &Add, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    zip_broadcast(inputs[0], inputs[1], y, |a, b| a + b);
}
