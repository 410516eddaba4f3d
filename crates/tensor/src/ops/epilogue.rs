//! What a matrix product or convolution does to its result before it writes it.

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::Activation;
use crate::shape::Shape;

/// What a fused product does to each element of its result. It takes one input more than the product does,
/// except where there is no bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Epilogue {
    /// y = product + bias. Extra input: bias `[C]`, along the last axis.
    Bias,
    /// y = activation(product). No extra input.
    Activation(Activation),
    /// y = activation(product + bias). Extra input: bias `[C]`, along the last axis.
    BiasActivation(Activation),
    /// dx = the vjp of an activation whose output was y, with the product as its cotangent. Extra input: y,
    /// of the shape of the product.
    ActivationGrad(Activation),
}

impl Epilogue {
    /// Whether the extra input is a bias.
    pub fn has_bias(self) -> bool {
        matches!(self, Epilogue::Bias | Epilogue::BiasActivation(_))
    }

    /// The activation that is applied, if any.
    pub fn activation(self) -> Option<Activation> {
        match self {
            Epilogue::Activation(activation) | Epilogue::BiasActivation(activation) => Some(activation),
            _ => None,
        }
    }

    /// The activation whose vjp is applied, if any.
    pub fn activation_grad(self) -> Option<Activation> {
        match self {
            Epilogue::ActivationGrad(activation) => Some(activation),
            _ => None,
        }
    }

    /// Splits the inputs of a fused product into the product's two and the extra one; errors when there are
    /// too few or too many.
    pub(super) fn split<T: Copy + std::fmt::Debug>(self, inputs: &[T]) -> Result<([T; 2], Option<T>)> {
        match (inputs, self) {
            (&[a, b], Epilogue::Activation(_)) => Ok(([a, b], None)),
            (&[a, b, extra], Epilogue::Bias | Epilogue::BiasActivation(_) | Epilogue::ActivationGrad(_)) => {
                Ok(([a, b], Some(extra)))
            }
            _ => Err(Error::new(format!("{self:?} does not take {} inputs", inputs.len()))),
        }
    }

    /// Errors unless the extra input fits the product.
    pub(super) fn check(self, product: Shape, extra: Option<Shape>) -> Result<()> {
        let expected = match self {
            Epilogue::Activation(_) => return Ok(()),
            Epilogue::Bias | Epilogue::BiasActivation(_) => Shape::from([product.last()]),
            Epilogue::ActivationGrad(_) => product,
        };
        if extra == Some(expected) {
            return Ok(());
        }
        Err(Error::new(format!(
            "{self:?} of a product {product} expected an input {expected}, got {extra:?}"
        )))
    }

    /// The epilogue as operations of the graph.
    pub(super) fn decompose<'g>(self, product: Var<'g>, extra: Option<Var<'g>>) -> Option<Var<'g>> {
        Some(match self {
            Epilogue::Bias => product + extra?,
            Epilogue::Activation(activation) => activation.apply(product),
            Epilogue::BiasActivation(activation) => activation.apply(product + extra?),
            Epilogue::ActivationGrad(activation) => activation.grad(extra?, product),
        })
    }
}
