//! What discriminator and generator minimise.

mod bce_probabilities;
mod hinge;
mod least_squares;
mod minimax;
mod non_saturating;
mod relativistic;
mod wasserstein;

use bce_probabilities::logits_behind;
use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

pub(crate) use bce_probabilities::bce;

use crate::error::{Error, Result};

/// What discriminator and generator minimise, as a function of what the discriminator says of real and of generated
/// images (each [N, 1]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Binary cross-entropy on logits; the generator maximises the probability of being taken for real
    /// (Goodfellow et al. 2014, section 3).
    #[default]
    NonSaturating,
    /// Binary cross-entropy on logits; the generator minimises the discriminator's gain, whose gradient fades when
    /// the discriminator is sure (Goodfellow et al. 2014, equation 1).
    Minimax,
    /// The non-saturating loss on probabilities, for a discriminator that ends in a sigmoid: computed from what the
    /// sigmoid was given, as Keras does. Probabilities that come otherwise are cut to [1e-7, 1 - 1e-7].
    BceProbabilities,
    /// Squared distances from 1 for real and 0 for generated images (LSGAN, Mao et al. 2017).
    LeastSquares,
    /// max(0, 1 - real) and max(0, 1 + fake) (Lim and Ye 2017; SNGAN, Miyato et al. 2018).
    Hinge,
    /// The difference of means, for a critic that is kept Lipschitz by weight clipping (WGAN, Arjovsky et al. 2017)
    /// or by a gradient penalty (Gulrajani et al. 2017).
    Wasserstein,
    /// The non-saturating loss on differences of pairs of a real and a generated image (RpGAN, Jolicoeur-Martineau
    /// 2018; R3GAN, Huang et al. 2024).
    Relativistic,
}

impl Loss {
    /// The discriminator's two losses, scalars: of real and of generated images. It minimises their sum. The
    /// target for real images is `real_target`, 1 unless labels are smoothed (Salimans et al. 2016); losses without
    /// a target do not read it.
    pub fn discriminator<'g>(&self, real: Var<'g>, fake: Var<'g>, real_target: f64) -> [Var<'g>; 2] {
        match self {
            Loss::NonSaturating | Loss::Minimax => non_saturating::discriminator(real, fake, real_target),
            Loss::BceProbabilities => bce_probabilities::discriminator(real, fake, real_target),
            Loss::LeastSquares => least_squares::discriminator(real, fake, real_target),
            Loss::Hinge => hinge::discriminator(real, fake),
            Loss::Wasserstein => wasserstein::discriminator(real, fake),
            Loss::Relativistic => relativistic::discriminator(real, fake),
        }
    }

    /// The generator's loss, a scalar. `real` is read by a loss that [`is_relativistic`](Loss::is_relativistic).
    pub fn generator<'g>(&self, real: Option<Var<'g>>, fake: Var<'g>) -> Result<Var<'g>> {
        Ok(match self {
            Loss::NonSaturating => non_saturating::generator(fake),
            Loss::Minimax => minimax::generator(fake),
            Loss::BceProbabilities => bce_probabilities::generator(fake),
            Loss::LeastSquares => least_squares::generator(fake),
            Loss::Hinge => hinge::generator(fake),
            Loss::Wasserstein => wasserstein::generator(fake),
            Loss::Relativistic => {
                let real = real.ok_or_else(|| {
                    Error::invalid("the relativistic loss of a generator needs the scores of real images")
                })?;
                relativistic::generator(real, fake)
            }
        })
    }

    /// The loss, and the scores it takes, for what a discriminator gives: probabilities straight from a sigmoid are
    /// judged by their logits.
    pub(crate) fn on<'g>(self, y: Var<'g>) -> (Loss, Var<'g>) {
        match (self, logits_behind(y)) {
            (Loss::BceProbabilities, Some(logits)) => (Loss::NonSaturating, logits),
            _ => (self, y),
        }
    }

    /// Whether the generator's loss depends on real images too.
    pub fn is_relativistic(&self) -> bool {
        *self == Loss::Relativistic
    }

    /// Whether real images have a target that can be smoothed.
    pub fn has_target(&self) -> bool {
        match self {
            Loss::NonSaturating | Loss::Minimax | Loss::BceProbabilities | Loss::LeastSquares => true,
            Loss::Hinge | Loss::Wasserstein | Loss::Relativistic => false,
        }
    }
}
