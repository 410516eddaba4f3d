//! dx = dy (1 - y^2)

use super::prelude::*;
use crate::ops::TanhGrad;

pub(crate) fn tanh_grad<T: Element>(_: &TanhGrad, inputs: &[TensorRef<'_, T>], dx: TensorMut<'_, T>) {
    zip(inputs[0], inputs[1], dx, |y, dy| dy * (T::ONE - y * y));
}
