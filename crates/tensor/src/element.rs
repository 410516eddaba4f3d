//! The number types a backend may compute in.

use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use crate::graph::Operation;
use crate::tensor_ref::{TensorMut, TensorRef};

/// A floating-point type: `f32` or `f64`.
pub trait Element:
    Copy
    + Debug
    + Display
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Distance from 1 to the next larger number.
    const EPSILON: f64;

    /// The nearest number of this type.
    fn of(x: f64) -> Self;
    /// The same number as an `f64`.
    fn to_f64(self) -> f64;
    /// e^x.
    fn exp(self) -> Self;
    /// e^x - 1, accurate near 0.
    fn exp_m1(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// ln(1 + x), accurate near 0.
    fn ln_1p(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// The larger of two numbers; a NaN on either side stays a NaN.
    fn max(self, other: Self) -> Self {
        if self > other || self.is_nan() { self } else { other }
    }
    /// Whether this is not a number.
    fn is_nan(self) -> bool;

    /// Evaluates `op` by its reference kernel for this type.
    fn evaluate(op: &dyn Operation, inputs: &[TensorRef<'_, Self>], output: TensorMut<'_, Self>);
}

macro_rules! element {
    ($t:ident, $eval:ident) => {
        impl Element for $t {
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            const EPSILON: f64 = $t::EPSILON as f64;

            fn of(x: f64) -> $t {
                x as $t
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn exp(self) -> $t {
                self.exp()
            }
            fn exp_m1(self) -> $t {
                self.exp_m1()
            }
            fn ln(self) -> $t {
                self.ln()
            }
            fn ln_1p(self) -> $t {
                self.ln_1p()
            }
            fn sqrt(self) -> $t {
                self.sqrt()
            }
            fn tanh(self) -> $t {
                self.tanh()
            }
            fn abs(self) -> $t {
                self.abs()
            }
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            fn evaluate(op: &dyn Operation, inputs: &[TensorRef<'_, $t>], output: TensorMut<'_, $t>) {
                op.$eval(inputs, output);
            }
        }
    };
}

element!(f32, eval_f32);
element!(f64, eval_f64);
