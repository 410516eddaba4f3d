//! The activation functions that fuse with the operation before them.

use crate::element::Element;
use crate::graph::Operation;
use crate::graph::Var;
use crate::ops::{LeakyRelu, LeakyReluGrad, Sigmoid, SigmoidGrad, Tanh, TanhGrad};

/// An activation function whose derivative is written in its output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// See [`LeakyRelu`].
    LeakyRelu {
        /// The factor for negative inputs.
        negative_slope: f64,
    },
    /// See [`Tanh`].
    Tanh,
    /// See [`Sigmoid`].
    Sigmoid,
}

impl Activation {
    /// The activation function that `op` is, if it is one.
    pub fn of(op: &dyn Operation) -> Option<Activation> {
        if let Some(&LeakyRelu { negative_slope }) = op.downcast() {
            return Some(Activation::LeakyRelu { negative_slope });
        }
        if op.downcast::<Tanh>().is_some() {
            return Some(Activation::Tanh);
        }
        op.downcast::<Sigmoid>().map(|_| Activation::Sigmoid)
    }

    /// The activation function whose vjp (of inputs y, dy) `op` is, if it is one.
    pub fn of_grad(op: &dyn Operation) -> Option<Activation> {
        if let Some(&LeakyReluGrad { negative_slope }) = op.downcast() {
            return Some(Activation::LeakyRelu { negative_slope });
        }
        if op.downcast::<TanhGrad>().is_some() {
            return Some(Activation::Tanh);
        }
        op.downcast::<SigmoidGrad>().map(|_| Activation::Sigmoid)
    }

    /// The activation of `x`.
    pub fn apply(self, x: Var<'_>) -> Var<'_> {
        match self {
            Activation::LeakyRelu { negative_slope } => x.leaky_relu(negative_slope),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => x.sigmoid(),
        }
    }

    /// The vjp of the activation whose output is `y`.
    pub fn grad<'g>(self, y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        match self {
            Activation::LeakyRelu { negative_slope } => y.leaky_relu_grad(dy, negative_slope),
            Activation::Tanh => y.tanh_grad(dy),
            Activation::Sigmoid => y.sigmoid_grad(dy),
        }
    }

    /// The activation of one number.
    pub fn eval<T: Element>(self, x: T) -> T {
        match self {
            Activation::LeakyRelu { negative_slope } => {
                if x > T::ZERO {
                    x
                } else {
                    T::of(negative_slope) * x
                }
            }
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => {
                let e = (-x.abs()).exp();
                if x < T::ZERO { e / (T::ONE + e) } else { T::ONE / (T::ONE + e) }
            }
        }
    }

    /// The vjp for one number, of output `y` and cotangent `dy`.
    pub fn eval_grad<T: Element>(self, y: T, dy: T) -> T {
        match self {
            Activation::LeakyRelu { negative_slope } => {
                if y > T::ZERO {
                    dy
                } else {
                    T::of(negative_slope) * dy
                }
            }
            Activation::Tanh => dy * (T::ONE - y * y),
            Activation::Sigmoid => dy * y * (T::ONE - y),
        }
    }
}
