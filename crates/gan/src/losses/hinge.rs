//! The hinge loss (Lim and Ye 2017).

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use super::adversarial_loss::{AdversarialLoss, Pointwise, Terms};

/// E max(0, 1 - real) and E max(0, 1 + fake), and for the generator -E fake (Lim and Ye 2017; SNGAN, Miyato et al. 2018).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hinge;

impl AdversarialLoss for Hinge {
    fn terms(&self) -> Terms<'_> {
        Terms::Pointwise(self)
    }
}

impl Pointwise for Hinge {
    fn real<'g>(&self, scores: Var<'g>, _target: f64) -> Var<'g> {
        scores.affine(-1.0, 1.0).relu().mean_all()
    }

    fn fake<'g>(&self, scores: Var<'g>) -> Var<'g> {
        (scores + 1.0).relu().mean_all()
    }

    fn generator<'g>(&self, fake: Var<'g>) -> Var<'g> {
        -fake.mean_all()
    }

    fn boundary(&self, _scores: &[f64], _target: f64) -> Option<f64> {
        Some(0.0)
    }
}
