//! Optimisers by the names that they have in model files.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::adam::Adam;
use super::adamw::AdamW;
use super::rmsprop::RmsProp;
use super::sgd::Sgd;
use super::update_rule::{Optimiser, UpdateRule};
use crate::error::Result;
use crate::kinds::{self, kinds};
use crate::options::Options;

kinds! {
    RuleKinds of dyn UpdateRule:
        "an optimiser", like "{ adam = { learning_rate = 1e-3 } }", made known with "gannet::optimisers::register"
    adam: Adam,
    sgd: Sgd,
    adamw: AdamW,
    rmsprop: RmsProp,
}

/// Makes an update rule of one's own known by `name` to the whole process: model files may name it, with the type's fields
/// as options (`optimiser = { mine = { learning_rate = 0.01 } }`), and a model that is trained with it can be saved and
/// loaded. Once more does no harm. Errors when the name is taken, or is not made of letters, digits and _.
pub fn register<R>(name: &'static str) -> Result<()>
where
    R: UpdateRule + Serialize + DeserializeOwned,
{
    kinds::register::<RuleKinds, R>(
        name,
        |rule| Ok(Arc::new(rule)),
        |any| any.downcast_ref::<R>().map(Options::of),
    )
}

/// The names that a model file may give an optimiser: this crate's, and those registered.
pub fn names() -> Vec<&'static str> {
    kinds::names::<RuleKinds>()
}

/// Adam, as Keras has it.
impl Default for Optimiser {
    fn default() -> Optimiser {
        Adam::default().into()
    }
}

impl<'de> Deserialize<'de> for Optimiser {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Optimiser, D::Error> {
        kinds::deserialize::<RuleKinds, D>(deserializer).map(Optimiser::from)
    }
}

impl Serialize for Optimiser {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        kinds::serialize::<RuleKinds, S>(&**self, serializer)
    }
}
