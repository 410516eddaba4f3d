//! Relativistic pairing (Jolicoeur-Martineau 2018).

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use super::adversarial_loss::{AdversarialLoss, Paired, Terms};

/// The non-saturating loss on differences of pairs of a real and a generated image (RpGAN, Jolicoeur-Martineau 2018;
/// R3GAN, Huang et al. 2024): E softplus(fake - real), and for the generator E softplus(real - fake).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relativistic;

impl AdversarialLoss for Relativistic {
    fn terms(&self) -> Terms<'_> {
        Terms::Paired(self)
    }
}

impl Paired for Relativistic {
    /// One half for each of the two kinds of images.
    fn discriminator<'g>(&self, real: Var<'g>, fake: Var<'g>) -> [Var<'g>; 2] {
        let half = (fake - real).softplus().mean_all() * 0.5;
        [half, half]
    }

    fn generator<'g>(&self, real: Var<'g>, fake: Var<'g>) -> Var<'g> {
        (real - fake).softplus().mean_all()
    }
}
