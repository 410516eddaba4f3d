//! Zero-centred gradient penalties: R1 at real images, R2 at generated ones.

use gannet_tensor::Var;

use super::squared_gradient_norms::squared_gradient_norms;
use crate::error::Result;

/// 1/2 E ||grad D(x)||^2, where `scores` [N, 1] are D's of `images` [N, ..] (Mescheder et al. 2018, equation 9).
pub(super) fn zero_centred<'g>(scores: Var<'g>, images: Var<'g>) -> Result<Var<'g>> {
    Ok(squared_gradient_norms(scores, images)?.mean_all() * 0.5)
}
