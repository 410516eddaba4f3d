//! Least squares (Mao et al. 2017), with their 0-1 coding.

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use super::adversarial_loss::{AdversarialLoss, Pointwise, Terms};

/// Squared distances from 1 for real and 0 for generated images (LSGAN, Mao et al. 2017): 1/2 E (real - target)^2 and
/// 1/2 E fake^2, and for the generator 1/2 E (fake - 1)^2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeastSquares;

impl AdversarialLoss for LeastSquares {
    fn terms(&self) -> Terms<'_> {
        Terms::Pointwise(self)
    }
}

impl Pointwise for LeastSquares {
    fn real<'g>(&self, scores: Var<'g>, target: f64) -> Var<'g> {
        half_square(scores - target)
    }

    fn fake<'g>(&self, scores: Var<'g>) -> Var<'g> {
        half_square(scores)
    }

    fn generator<'g>(&self, fake: Var<'g>) -> Var<'g> {
        half_square(fake - 1.0)
    }

    fn has_target(&self) -> bool {
        true
    }

    fn boundary(&self, _scores: &[f64], target: f64) -> Option<f64> {
        Some(0.5 * target)
    }
}

fn half_square(x: Var<'_>) -> Var<'_> {
    x.square().mean_all() * 0.5
}
