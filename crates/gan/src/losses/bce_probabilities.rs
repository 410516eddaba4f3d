//! Binary cross-entropy on probabilities.

use gannet_tensor::Var;

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
