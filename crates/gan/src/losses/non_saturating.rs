//! Binary cross-entropy on logits, with the generator's non-saturating form.

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use super::adversarial_loss::{AdversarialLoss, Pointwise, Terms};

/// Binary cross-entropy on logits; the generator maximises the probability of being taken for real
/// (Goodfellow et al. 2014, section 3): BCE(real, target), BCE(fake, 0), and for the generator BCE(fake, 1), each a mean
/// over the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonSaturating;

impl AdversarialLoss for NonSaturating {
    fn terms(&self) -> Terms<'_> {
        Terms::Pointwise(self)
    }
}

impl Pointwise for NonSaturating {
    fn real<'g>(&self, scores: Var<'g>, target: f64) -> Var<'g> {
        against(scores, target)
    }

    fn fake<'g>(&self, scores: Var<'g>) -> Var<'g> {
        against(scores, 0.0)
    }

    fn generator<'g>(&self, fake: Var<'g>) -> Var<'g> {
        against(fake, 1.0)
    }

    fn has_target(&self) -> bool {
        true
    }

    fn boundary(&self, _scores: &[f64], _target: f64) -> Option<f64> {
        Some(0.0)
    }
}

fn against(logits: Var<'_>, target: f64) -> Var<'_> {
    logits.bce_logits(logits.graph().fill(logits.shape(), target)).mean_all()
}
