//! dx = dy for y > 0, dy (y + alpha) otherwise

use super::prelude::*;
use crate::ops::EluGrad;

pub(crate) fn elu_grad<T: Element>(op: &EluGrad, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let alpha = T::of(op.alpha);
    zip(inputs[0], inputs[1], y, |y, dy| if y > T::ZERO { dy } else { dy * (y + alpha) });
}
