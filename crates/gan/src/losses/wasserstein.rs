//! The Wasserstein loss (Arjovsky et al. 2017).

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use super::adversarial_loss::{AdversarialLoss, Pointwise, Terms};

/// The difference of means, -E real and E fake, and for the generator -E fake: for a critic that is kept Lipschitz by
/// weight clipping (WGAN, Arjovsky et al. 2017) or by a gradient penalty (Gulrajani et al. 2017).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wasserstein;

impl AdversarialLoss for Wasserstein {
    fn terms(&self) -> Terms<'_> {
        Terms::Pointwise(self)
    }
}

impl Pointwise for Wasserstein {
    fn real<'g>(&self, scores: Var<'g>, _target: f64) -> Var<'g> {
        -scores.mean_all()
    }

    fn fake<'g>(&self, scores: Var<'g>) -> Var<'g> {
        scores.mean_all()
    }

    fn generator<'g>(&self, fake: Var<'g>) -> Var<'g> {
        -fake.mean_all()
    }
}
