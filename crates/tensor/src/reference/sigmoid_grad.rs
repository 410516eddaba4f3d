//! dx = dy y (1 - y)

use super::prelude::*;
use crate::ops::SigmoidGrad;

pub(crate) fn sigmoid_grad<T: Element>(_: &SigmoidGrad, inputs: &[TensorRef<'_, T>], dx: TensorMut<'_, T>) {
    zip(inputs[0], inputs[1], dx, |y, dy| dy * y * (T::ONE - y));
}
