//! y = max(a, b), with broadcasting

use super::prelude::*;
use crate::ops::Maximum;

pub(crate) fn maximum<T: Element>(_: &Maximum, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    zip_broadcast(inputs[0], inputs[1], y, |a, b| a.max(b));
}
