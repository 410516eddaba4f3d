//! y = x (1 + erf(x / sqrt(2))) / 2

use super::normal_cdf::cdf;
use super::prelude::*;
use crate::ops::Gelu;

pub(crate) fn gelu<T: Element>(_: &Gelu, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| x * T::of(cdf(x.to_f64())));
}
