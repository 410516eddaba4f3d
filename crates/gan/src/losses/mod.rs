//! What discriminator and generator minimise.

mod bce_probabilities;
mod non_saturating;

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

/// What discriminator and generator minimise, as a function of what the discriminator says of real and of generated
/// images (each [N, 1]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Binary cross-entropy on logits; the generator maximises the probability of being taken for real
    /// (Goodfellow et al. 2014, section 3).
    #[default]
    NonSaturating,
    /// The same on probabilities, for a discriminator that ends in a sigmoid. Cut to [1e-7, 1 - 1e-7] as in Keras.
    BceProbabilities,
}

impl Loss {
    /// The discriminator's two losses, scalars: of real and of generated images. It minimises their sum. The
    /// target for real images is `real_target`, 1 unless labels are smoothed (Salimans et al. 2016).
    pub fn discriminator<'g>(&self, real: Var<'g>, fake: Var<'g>, real_target: f64) -> [Var<'g>; 2] {
        match self {
            Loss::NonSaturating => non_saturating::discriminator(real, fake, real_target),
            Loss::BceProbabilities => bce_probabilities::discriminator(real, fake, real_target),
        }
    }

    /// The generator's loss, a scalar.
    pub fn generator<'g>(&self, fake: Var<'g>) -> Var<'g> {
        match self {
            Loss::NonSaturating => non_saturating::generator(fake),
            Loss::BceProbabilities => bce_probabilities::generator(fake),
        }
    }
}
