//! What discriminator and generator minimise.

mod adversarial_loss;
mod bce_probabilities;
mod hinge;
mod least_squares;
mod minimax;
mod named;
mod non_saturating;
mod relativistic;
mod wasserstein;

pub use adversarial_loss::{AdversarialLoss, Loss, Paired, Pointwise, Terms};
pub use bce_probabilities::BceProbabilities;
pub(crate) use bce_probabilities::bce;
pub use hinge::Hinge;
pub use least_squares::LeastSquares;
pub use minimax::Minimax;
pub use named::{names, register};
pub use non_saturating::NonSaturating;
pub use relativistic::Relativistic;
pub use wasserstein::Wasserstein;
