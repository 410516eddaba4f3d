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
}

impl Activation {
    /// The activation of `x`, element by element.
    ///
    /// # Panics
    /// When the negative slope is negative or not finite.
    #[track_caller]
    pub fn apply(self, x: Var<'_>) -> Var<'_> {
        match self {
            Activation::Linear => x,
            Activation::Relu => x.relu(),
            Activation::LeakyRelu { negative_slope } => x.leaky_relu(negative_slope),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => x.sigmoid(),
        }
    }

    pub(crate) fn check(self) -> crate::Result<()> {
        match self {
            Activation::LeakyRelu { negative_slope } => check_slope(negative_slope),
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
