//! y = e^x

use super::prelude::*;
use crate::ops::Exp;

pub(crate) fn exp<T: Element>(_: &Exp, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| x.exp());
}
