//! Optimisers: their options, the numbers that they hand to a step, and the operation that updates a model.

mod adam;
mod sgd;

pub use adam::{Adam, EpsForm};
pub use sgd::Sgd;

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a model's parameters follow their gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimiser {
    /// Adam.
    Adam(Adam),
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
}

impl Default for Optimiser {
    fn default() -> Optimiser {
        Optimiser::Adam(Adam::default())
    }
}

impl From<Adam> for Optimiser {
    fn from(adam: Adam) -> Optimiser {
        Optimiser::Adam(adam)
    }
}

impl From<Sgd> for Optimiser {
    fn from(sgd: Sgd) -> Optimiser {
        Optimiser::Sgd(sgd)
    }
}

impl Optimiser {
    /// The learning rate before any schedule.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Optimiser::Adam(adam) => adam.learning_rate,
            Optimiser::Sgd(sgd) => sgd.learning_rate,
        }
    }

    /// The same optimiser with another learning rate.
    #[must_use]
    pub fn with_learning_rate(mut self, learning_rate: f64) -> Optimiser {
        match &mut self {
            Optimiser::Adam(adam) => adam.learning_rate = learning_rate,
            Optimiser::Sgd(sgd) => sgd.learning_rate = learning_rate,
        }
        self
    }

    /// What it keeps for each parameter beside the parameter itself: the rows of its state after the first.
    pub fn moments(&self) -> &'static [&'static str] {
        match self {
            Optimiser::Adam(_) => &["m", "v"],
            Optimiser::Sgd(_) => &["velocity"],
        }
    }

    /// How many numbers [`scalars`](Optimiser::scalars) gives.
    pub fn scalar_count(&self) -> usize {
        match self {
            Optimiser::Adam(_) => 2,
            Optimiser::Sgd(_) => 1,
        }
    }

    /// The numbers of update `t` (counted from 1) with the learning rate times `factor`: the last input of
    /// [`update`](Optimiser::update).
    pub fn scalars(&self, t: u64, factor: f64) -> Vec<f64> {
        match self {
            Optimiser::Adam(adam) => adam.scalars(t, factor).to_vec(),
            Optimiser::Sgd(sgd) => vec![sgd.learning_rate * factor],
        }
    }

    /// The next state [1 + moments, n] from the state, the gradient `[n]` and this update's numbers.
    pub fn update<'g>(&self, state: Var<'g>, gradient: Var<'g>, scalars: Var<'g>) -> Var<'g> {
        match self {
            Optimiser::Adam(adam) => state.adam(gradient, scalars, adam.beta1, adam.beta2),
            Optimiser::Sgd(sgd) => state.sgd(gradient, scalars, sgd.momentum),
        }
    }

    /// Errors when a number in it is impossible.
    pub fn check(&self) -> Result<()> {
        let share = |name: &str, x: f64| match (0.0..1.0).contains(&x) {
            true => Ok(()),
            false => Err(Error::invalid(format!("{name} must be at least 0 and less than 1, got {x}"))),
        };
        let rate = self.learning_rate();
        if !(rate.is_finite() && rate > 0.0) {
            return Err(Error::invalid(format!("learning_rate must be a positive number, got {rate}")));
        }
        match self {
            Optimiser::Adam(adam) => {
                share("beta1", adam.beta1)?;
                share("beta2", adam.beta2)?;
                if !(adam.eps.is_finite() && adam.eps > 0.0) {
                    return Err(Error::invalid(format!("eps must be a positive number, got {}", adam.eps)));
                }
                Ok(())
            }
            Optimiser::Sgd(sgd) => share("momentum", sgd.momentum),
        }
    }
}
