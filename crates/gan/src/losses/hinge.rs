//! The hinge loss (Lim and Ye 2017).

use gannet_tensor::Var;

/// E max(0, 1 - real) and E max(0, 1 + fake).
pub(super) fn discriminator<'g>(real: Var<'g>, fake: Var<'g>) -> [Var<'g>; 2] {
    [real.affine(-1.0, 1.0).relu().mean_all(), (fake + 1.0).relu().mean_all()]
}

/// -E fake.
pub(super) fn generator(fake: Var<'_>) -> Var<'_> {
    -fake.mean_all()
}
