//! What every penalty is made of.

use gannet_tensor::{Var, grad};

use crate::error::Result;

/// The squared norm `[N]` of the gradient of each image's score [N, 1] with respect to that image [N, ..].
pub(super) fn squared_gradient_norms<'g>(scores: Var<'g>, images: Var<'g>) -> Result<Var<'g>> {
    let gradient = grad(scores.sum_all(), &[images])?[0];
    let n = images.shape().dims()[0];
    let rows = gradient.reshape([n, images.shape().len() / n]);
    Ok(rows.square().sum(&[1]).reshape([n]))
}
