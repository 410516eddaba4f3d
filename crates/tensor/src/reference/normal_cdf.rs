//! y = (1 + erf(x / sqrt(2))) / 2, from its series near zero and from its continued fraction beyond

use super::prelude::*;
use crate::ops::NormalCdf;

pub(crate) fn normal_cdf<T: Element>(_: &NormalCdf, inputs: &[TensorRef<'_, T>], y: TensorMut<'_, T>) {
    map(inputs[0], y, |x| T::of(cdf(x.to_f64())));
}

/// The share of a standard normal distribution below x (Abramowitz and Stegun 1964, 26.2.11 and 26.2.14).
pub(super) fn cdf(x: f64) -> f64 {
    let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let a = x.abs();
    if a < 3.0 {
        // 1/2 + density (x + x^3 / 3 + x^5 / (3 * 5) + ..)
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term = term * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return 0.5 + density * sum;
    }
    // The tail is density / (a + 1 / (a + 2 / (a + 3 / ..))).
    let fraction = (1..100).rev().fold(a, |fraction, n| a + f64::from(n) / fraction);
    if x > 0.0 { 1.0 - density / fraction } else { density / fraction }
}
