//! Binary cross-entropy on probabilities.

use gannet_tensor::{NodeKind, Var, ops};

/// Keras' distance from 0 and 1.
const CLIP: f64 = 1e-7;

/// BCE(real, `real_target`) and BCE(fake, 0), each a mean over the batch.
pub(super) fn discriminator<'g>(real: Var<'g>, fake: Var<'g>, real_target: f64) -> [Var<'g>; 2] {
    [against(real, real_target), against(fake, 0.0)]
}

/// BCE(fake, 1).
pub(super) fn generator(fake: Var<'_>) -> Var<'_> {
    against(fake, 1.0)
}

fn against(probabilities: Var<'_>, target: f64) -> Var<'_> {
    probabilities
        .bce_probabilities(probabilities.graph().fill(probabilities.shape(), target), CLIP)
        .mean_all()
}

/// The logits of probabilities that come straight from a sigmoid. Keras, too, computes the cross-entropy of such
/// probabilities from their logits: the same value, but one that still has a gradient where the probability is 0 or 1 to the
/// last digit. From the clipped probabilities alone, a discriminator that is once sure of a wrong answer never recovers.
pub(crate) fn logits_behind(probabilities: Var<'_>) -> Option<Var<'_>> {
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
