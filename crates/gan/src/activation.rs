//! Activations that a layer can apply to its output.

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

/// An element-wise function behind a layer, as Keras' `activation` argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Activation {
    /// x.
    #[default]
    Linear,
    /// max(x, 0).
    Relu,
    /// x for x > 0, `negative_slope` x otherwise.
    LeakyRelu {
        /// The slope for negative x.
        negative_slope: f64,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// ln(1 + e^x).
    Softplus,
    /// x (1 + erf(x / sqrt(2))) / 2: the Gaussian error linear unit (Hendrycks and Gimpel 2016), without approximation.
    Gelu,
    /// x / (1 + e^-x): the sigmoid linear unit, or swish (Elfwing et al. 2017).
    Silu,
    /// x for x > 0, `alpha` (e^x - 1) otherwise: the exponential linear unit (Clevert et al. 2015).
    Elu {
        /// What the output approaches for negative x, with its sign turned.
        alpha: f64,
    },
}

impl Activation {
    /// The activation of `x`, element by element.
    ///
    /// # Panics
    /// When the negative slope or alpha is negative or not finite.
    #[track_caller]
    pub fn apply(self, x: Var<'_>) -> Var<'_> {
        match self {
            Activation::Linear => x,
            Activation::Relu => x.relu(),
            Activation::LeakyRelu { negative_slope } => x.leaky_relu(negative_slope),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Softplus => x.softplus(),
            Activation::Gelu => x.gelu(),
            Activation::Silu => x.silu(),
            Activation::Elu { alpha } => x.elu(alpha),
        }
    }

    pub(crate) fn check(self) -> crate::Result<()> {
        match self {
            Activation::LeakyRelu { negative_slope } => check_slope(negative_slope),
            Activation::Elu { alpha } if !(alpha.is_finite() && alpha > 0.0) => {
                Err(crate::Error::invalid(format!("alpha must be a positive number, got {alpha}")))
            }
            _ => Ok(()),
        }
    }
}

pub(crate) fn check_slope(negative_slope: f64) -> crate::Result<()> {
    if negative_slope.is_finite() && negative_slope >= 0.0 {
        return Ok(());
    }
    Err(crate::Error::invalid(format!(
        "negative_slope must be a finite number of at least 0, got {negative_slope}"
    )))
}
