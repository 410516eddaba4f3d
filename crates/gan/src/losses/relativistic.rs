//! Relativistic pairing (Jolicoeur-Martineau 2018).

use gannet_tensor::Var;

/// E softplus(fake - real), one half for each of the two kinds of images.
pub(super) fn discriminator<'g>(real: Var<'g>, fake: Var<'g>) -> [Var<'g>; 2] {
    let half = (fake - real).softplus().mean_all() * 0.5;
    [half, half]
}

/// E softplus(real - fake).
pub(super) fn generator<'g>(real: Var<'g>, fake: Var<'g>) -> Var<'g> {
    (real - fake).softplus().mean_all()
}
