//! Losses by the names that they have in model files.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::adversarial_loss::{AdversarialLoss, Loss};
use super::bce_probabilities::BceProbabilities;
use super::hinge::Hinge;
use super::least_squares::LeastSquares;
use super::minimax::Minimax;
use super::non_saturating::NonSaturating;
use super::relativistic::Relativistic;
use super::wasserstein::Wasserstein;
use crate::error::Result;
use crate::kinds::{self, kinds};
use crate::options::Options;

kinds! {
    LossKinds of dyn AdversarialLoss: "a loss", like "\"hinge\"", made known with "gannet::losses::register"
    non_saturating: NonSaturating,
    minimax: Minimax,
    bce_probabilities: BceProbabilities,
    least_squares: LeastSquares,
    hinge: Hinge,
    wasserstein: Wasserstein,
    relativistic: Relativistic,
}

/// Makes a loss of one's own known by `name` to the whole process: model files may name it, with the type's fields as
/// options (`loss = "mine"`, or `loss = { mine = { margin = 2.0 } }`), and a model that is trained with it can be saved
/// and loaded. Once more does no harm. Errors when the name is taken, or is not made of letters, digits and _.
pub fn register<L>(name: &'static str) -> Result<()>
where
    L: AdversarialLoss + Serialize + DeserializeOwned,
{
    kinds::register::<LossKinds, L>(
        name,
        |loss| Ok(Arc::new(loss)),
        |any| any.downcast_ref::<L>().map(Options::of),
    )
}

/// The names that a model file may give a loss: this crate's, and those registered.
pub fn names() -> Vec<&'static str> {
    kinds::names::<LossKinds>()
}

/// The non-saturating loss.
impl Default for Loss {
    fn default() -> Loss {
        NonSaturating.into()
    }
}

impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Loss, D::Error> {
        kinds::deserialize::<LossKinds, D>(deserializer).map(Loss::from)
    }
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        kinds::serialize::<LossKinds, S>(&**self, serializer)
    }
}
