//! Binary cross-entropy on logits, with the generator's non-saturating form.

use gannet_tensor::Var;

/// BCE(real, `real_target`) and BCE(fake, 0), each a mean over the batch.
pub(super) fn discriminator<'g>(real: Var<'g>, fake: Var<'g>, real_target: f64) -> [Var<'g>; 2] {
    [against(real, real_target), against(fake, 0.0)]
}

/// BCE(fake, 1): -log D(G(z)).
pub(super) fn generator(fake: Var<'_>) -> Var<'_> {
    against(fake, 1.0)
}

fn against(logits: Var<'_>, target: f64) -> Var<'_> {
    logits.bce_logits(logits.graph().fill(logits.shape(), target)).mean_all()
}
