//! y = 1 / (1 + e^-x), as e^x / (1 + e^x) for negative x, where e^-x might overflow

use super::prelude::*;
use crate::ops::Sigmoid;

pub(crate) fn sigmoid<T: Element>(_: &Sigmoid, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| {
        let e = (-x.abs()).exp();
        if x < T::ZERO { e / (T::ONE + e) } else { T::ONE / (T::ONE + e) }
    });
}
