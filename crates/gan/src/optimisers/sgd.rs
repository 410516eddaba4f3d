//! Stochastic gradient descent with momentum.

use serde::{Deserialize, Serialize};

/// Stochastic gradient descent: v = `momentum` v + g, p -= lr v.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
