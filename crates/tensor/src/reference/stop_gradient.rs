//! y = x

use super::prelude::*;
use crate::ops::StopGradient;

pub(crate) fn stop_gradient<T: Element>(_: &StopGradient, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    y.data.copy_from_slice(inputs[0].data);
}
