//! The gradient penalty of WGAN-GP.

use gannet_tensor::Var;

use super::squared_gradient_norms::squared_gradient_norms;
use crate::error::Result;

/// Keeps the root away from zero, where its derivative is infinite.
const EPS: f64 = 1e-12;

/// E (||grad D(x)|| - 1)^2, where `scores` [N, 1] are D's of `images` [N, ..] (Gulrajani et al. 2017, equation 3).
pub(super) fn wgan_gp<'g>(scores: Var<'g>, images: Var<'g>) -> Result<Var<'g>> {
    let norms = (squared_gradient_norms(scores, images)? + EPS).sqrt();
    Ok((norms - 1.0).square().mean_all())
}
