//! Stochastic gradient descent with momentum.

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use super::update_rule::{Optimiser, UpdateRule, share};
use crate::error::Result;

/// Stochastic gradient descent: v = `momentum` v + g, p -= lr v.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Sgd {
    /// The size of a step.
    pub learning_rate: f64,
    /// The share of the velocity that stays; 0 is plain gradient descent.
    pub momentum: f64,
}

impl Default for Sgd {
    fn default() -> Sgd {
        Sgd { learning_rate: 1e-2, momentum: 0.0 }
    }
}

impl Sgd {
    /// Plain gradient descent with the given learning rate.
    pub fn new(learning_rate: f64) -> Sgd {
        Sgd { learning_rate, ..Sgd::default() }
    }

    /// The share of the velocity that stays.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Sgd {
        self.momentum = momentum;
        self
    }
}

impl UpdateRule for Sgd {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn with_learning_rate(&self, learning_rate: f64) -> Optimiser {
        Sgd { learning_rate, ..*self }.into()
    }

    fn moments(&self) -> &'static [&'static str] {
        &["velocity"]
    }

    fn scalars(&self, _t: u64, factor: f64) -> Vec<f64> {
        vec![self.learning_rate * factor]
    }

    fn update<'g>(&self, state: Var<'g>, gradient: Var<'g>, scalars: Var<'g>) -> Var<'g> {
        state.sgd(gradient, scalars, self.momentum)
    }

    fn check(&self) -> Result<()> {
        share("momentum", self.momentum)
    }
}
