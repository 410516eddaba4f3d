//! Binary cross-entropy on probabilities.

use gannet_tensor::{NodeKind, Var, ops};
use serde::{Deserialize, Serialize};

use super::adversarial_loss::{AdversarialLoss, Loss, Pointwise, Terms};
use super::non_saturating::NonSaturating;

/// Keras' distance from 0 and 1.
const CLIP: f64 = 1e-7;

/// The non-saturating loss on probabilities, for a discriminator that ends in a sigmoid: computed from what the
/// sigmoid was given, as Keras does. Probabilities that come otherwise are cut to [1e-7, 1 - 1e-7].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BceProbabilities;

impl AdversarialLoss for BceProbabilities {
    fn terms(&self) -> Terms<'_> {
        Terms::Pointwise(self)
    }

    fn rewritten<'g>(&self, y: Var<'g>) -> Option<(Loss, Var<'g>)> {
        logits_behind(y).map(|logits| (NonSaturating.into(), logits))
    }
}

impl Pointwise for BceProbabilities {
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

    /// That of probabilities, or of the logits that took the place of those from a sigmoid.
    fn boundary(&self, scores: &[f64], _target: f64) -> Option<f64> {
        let probabilities = scores.iter().all(|x| (0.0..=1.0).contains(x));
        Some(if probabilities { 0.5 } else { 0.0 })
    }
}

fn against(probabilities: Var<'_>, target: f64) -> Var<'_> {
    probabilities
        .bce_probabilities(probabilities.graph().fill(probabilities.shape(), target), CLIP)
        .mean_all()
}

/// The logits of probabilities that come straight from a sigmoid. Keras, too, computes the cross-entropy of such
/// probabilities from their logits: the same value, but one that still has a gradient where the probability is 0 or 1 to the
/// last digit. From the clipped probabilities alone, a discriminator that is once sure of a wrong answer never recovers.
fn logits_behind(probabilities: Var<'_>) -> Option<Var<'_>> {
    match probabilities.kind() {
        NodeKind::Operation(op, inputs) if op.downcast::<ops::Sigmoid>().is_some() => {
            Some(probabilities.graph().var(*inputs.first()?))
        }
        _ => None,
    }
}

/// BCE of probabilities against targets of the same shape, element by element, from their logits where there are any.
pub(crate) fn bce<'g>(probabilities: Var<'g>, targets: Var<'g>) -> Var<'g> {
    match logits_behind(probabilities) {
        Some(logits) => logits.bce_logits(targets),
        None => probabilities.bce_probabilities(targets, CLIP),
    }
}
