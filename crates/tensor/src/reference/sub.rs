//! y = a - b, with broadcasting

use super::prelude::*;
use crate::ops::Sub;

pub(crate) fn sub<T: Element>(_: &Sub, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    zip_broadcast(inputs[0], inputs[1], y, |a, b| a - b);
}
