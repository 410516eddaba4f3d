//! What the normalisations of single samples have in common.

use gannet_tensor::Var;

use crate::error::{Error, Result};
use crate::layer::Parameter;
use crate::layers::prelude::{Initialiser, Shape};

/// (x - mean) / sqrt(variance + eps), with mean and biased variance over `axes`.
pub(super) fn normalise<'g>(x: Var<'g>, axes: &[usize], eps: f64) -> Var<'g> {
    let centred = x - x.mean(axes);
    let variance = centred.square().mean(axes);
    centred * (variance + eps).sqrt().reciprocal()
}

/// A scale and a shift for each channel.
pub(super) fn gamma_beta(input: Shape) -> Vec<Parameter> {
    vec![
        Parameter::new("gamma", [input.last()], Initialiser::Ones),
        Parameter::new("beta", [input.last()], Initialiser::Zeros),
    ]
}

/// Keras' eps.
pub(super) fn eps() -> f64 {
    1e-3
}

/// Errors unless eps can stand under a root.
pub(super) fn check_eps(eps: f64) -> Result<()> {
    if eps.is_finite() && eps > 0.0 {
        return Ok(());
    }
    Err(Error::invalid(format!("eps must be a positive number, got {eps}")))
}
