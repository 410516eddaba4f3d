//! y = ln(x)

use super::prelude::*;
use crate::ops::Log;

pub(crate) fn log<T: Element>(_: &Log, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| x.ln());
}
