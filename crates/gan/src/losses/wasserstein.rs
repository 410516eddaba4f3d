//! The Wasserstein loss (Arjovsky et al. 2017).

use gannet_tensor::Var;

/// -E real and E fake.
pub(super) fn discriminator<'g>(real: Var<'g>, fake: Var<'g>) -> [Var<'g>; 2] {
    [-real.mean_all(), fake.mean_all()]
}

/// -E fake.
pub(super) fn generator(fake: Var<'_>) -> Var<'_> {
    -fake.mean_all()
}
