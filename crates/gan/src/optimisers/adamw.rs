//! Adam with decoupled weight decay (Loshchilov and Hutter 2019).

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use super::adam::Adam;
use super::eps_form::EpsForm;
use super::update_rule::{Optimiser, SecondMoment, UpdateRule};
use crate::error::{Error, Result};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, *Decoupled Weight Decay Regularization*), as PyTorch and
/// Keras have it: p -= lr `weight_decay` p, and then a step of [`Adam`] for the gradient at the parameters before. Every
/// parameter decays, biases too. The defaults are Keras': those of Adam, and a weight decay of 0.004 (PyTorch's is 0.01).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AdamW {
    /// The size of a step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// What keeps the division away from zero.
    pub eps: f64,
    /// Where eps stands.
    pub form: EpsForm,
    /// The share of a parameter, times the learning rate, that it loses in an update.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> AdamW {
        let Adam { learning_rate, beta1, beta2, eps, form } = Adam::default();
        AdamW { learning_rate, beta1, beta2, eps, form, weight_decay: 0.004 }
    }
}

impl AdamW {
    /// Keras' defaults with the given learning rate.
    pub fn new(learning_rate: f64) -> AdamW {
        AdamW { learning_rate, ..AdamW::default() }
    }

    /// The decays of the two moments. GANs use 0.5 for the first.
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> AdamW {
        (self.beta1, self.beta2) = (beta1, beta2);
        self
    }

    /// What keeps the division away from zero, and where it stands.
    #[must_use]
    pub fn eps(mut self, eps: f64, form: EpsForm) -> AdamW {
        (self.eps, self.form) = (eps, form);
        self
    }

    /// The share of a parameter, times the learning rate, that it loses in an update.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> AdamW {
        self.weight_decay = weight_decay;
        self
    }

    /// The same without decay.
    fn adam(&self) -> Adam {
        let AdamW { learning_rate, beta1, beta2, eps, form, .. } = *self;
        Adam { learning_rate, beta1, beta2, eps, form }
    }
}

impl UpdateRule for AdamW {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn with_learning_rate(&self, learning_rate: f64) -> Optimiser {
        AdamW { learning_rate, ..*self }.into()
    }

    fn moments(&self) -> &'static [&'static str] {
        self.adam().moments()
    }

    fn scalars(&self, t: u64, factor: f64) -> Vec<f64> {
        let kept = 1.0 - self.learning_rate * factor * self.weight_decay;
        let mut scalars = self.adam().scalars(t, factor);
        scalars.push(kept);
        scalars
    }

    fn update<'g>(&self, state: Var<'g>, gradient: Var<'g>, scalars: Var<'g>) -> Var<'g> {
        let weights = state.slice(0, 0, 1) * scalars.slice(0, 2, 3);
        let decayed = Var::concat(&[weights, state.slice(0, 1, 3)], 0);
        self.adam().update(decayed, gradient, scalars.slice(0, 0, 2))
    }

    fn check(&self) -> Result<()> {
        self.adam().check()?;
        if self.weight_decay.is_finite() && self.weight_decay >= 0.0 {
            return Ok(());
        }
        Err(Error::invalid(format!("weight_decay must be a number of at least 0, got {}", self.weight_decay)))
    }

    fn second_moment(&self) -> Option<SecondMoment> {
        self.adam().second_moment()
    }
}
