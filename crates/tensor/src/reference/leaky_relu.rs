//! y = x for x > 0, negative_slope * x otherwise

use super::prelude::*;
use crate::ops::LeakyRelu;

pub(crate) fn leaky_relu<T: Element>(op: &LeakyRelu, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    let slope = T::of(op.negative_slope);
    map(inputs[0], y, |x| if x > T::ZERO { x } else { slope * x });
}
