//! y = x for x > 0, alpha (e^x - 1) otherwise

use super::prelude::*;
use crate::ops::Elu;

pub(crate) fn elu<T: Element>(op: &Elu, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let alpha = T::of(op.alpha);
    map(inputs[0], y, |x| if x > T::ZERO { x } else { alpha * x.exp_m1() });
}
