//! The generator's loss of the minimax game on logits.

use gannet_tensor::Var;

/// E log(1 - D(G(z))), which is -E softplus(logit).
pub(super) fn generator(fake: Var<'_>) -> Var<'_> {
    -fake.softplus().mean_all()
}
