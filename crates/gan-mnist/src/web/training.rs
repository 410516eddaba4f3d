//! The programs of training for a browser.

use std::collections::BTreeMap;

use gannet::export::{Steps, Trainer};
use gannet::{Backend, Gan};
use gannet_dispatch::Dispatches;

use super::dispatches::{MOST_BYTES, dispatches};
use crate::error::Result;

/// What trains a model in a browser.
pub(super) struct BrowserTrainer {
    /// One for each kind of step, by the name that the page looks for.
    pub(super) programs: BTreeMap<String, Dispatches>,
    pub(super) variables: BTreeMap<String, Vec<f32>>,
    pub(super) steps: Steps,
}

impl BrowserTrainer {
    /// That of a model, or a sentence that says why a page cannot train it.
    pub(super) fn of<B: Backend>(gan: &Gan<B>) -> Result<std::result::Result<BrowserTrainer, String>> {
        let Trainer { plans, variables, steps } = match Trainer::of(gan) {
            Ok(trainer) => trainer,
            Err(error @ (gannet::Error::Invalid(_) | gannet::Error::Config(_))) => {
                return Ok(Err(format!("A page cannot train this model: {error}.")));
            }
            Err(error) => return Err(error.into()),
        };
        // The page finds clusters by what its generator is told.
        if gan.config().clusters > 1 && gan.generator().classes().is_none() {
            return Ok(Err(
                "A page cannot train this model: its generator is not told the groups of its pictures."
                    .into(),
            ));
        }
        let mut programs = BTreeMap::new();
        for (name, plan) in plans {
            match dispatches(plan)? {
                Ok(program) => programs.insert(format!("train {name}"), program),
                Err(large) => {
                    return Ok(Err(format!(
                        "A page cannot train this model: '{}' takes {} MiB for a batch of {}, and browsers allow {} MiB. A \
                         smaller batch_size would fit.",
                        large.label,
                        large.bytes >> 20,
                        steps.batch_size,
                        MOST_BYTES >> 20
                    )));
                }
            };
        }
        Ok(Ok(BrowserTrainer { programs, variables, steps }))
    }
}
