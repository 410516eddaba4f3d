//! y = 1 where a > b, 0 elsewhere, with broadcasting

use super::prelude::*;
use crate::ops::Greater;

pub(crate) fn greater<T: Element>(_: &Greater, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    zip_broadcast(inputs[0], inputs[1], y, |a, b| if a > b { T::ONE } else { T::ZERO });
}
