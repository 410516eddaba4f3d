//! The minimax game on logits.

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use super::adversarial_loss::{AdversarialLoss, Pointwise, Terms};
use super::non_saturating::NonSaturating;

/// Binary cross-entropy on logits; the generator minimises the discriminator's gain E log(1 - D(G(z))), whose gradient
/// fades when the discriminator is sure (Goodfellow et al. 2014, equation 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minimax;

impl AdversarialLoss for Minimax {
    fn terms(&self) -> Terms<'_> {
        Terms::Pointwise(self)
    }
}

/// The discriminator's side is that of [`NonSaturating`].
impl Pointwise for Minimax {
    fn real<'g>(&self, scores: Var<'g>, target: f64) -> Var<'g> {
        NonSaturating.real(scores, target)
    }

    fn fake<'g>(&self, scores: Var<'g>) -> Var<'g> {
        NonSaturating.fake(scores)
    }

    /// E log(1 - D(G(z))), which is -E softplus(logit).
    fn generator<'g>(&self, fake: Var<'g>) -> Var<'g> {
        -fake.softplus().mean_all()
    }

    fn has_target(&self) -> bool {
        true
    }

    fn boundary(&self, scores: &[f64], target: f64) -> Option<f64> {
        NonSaturating.boundary(scores, target)
    }
}
