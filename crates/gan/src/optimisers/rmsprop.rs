//! RMSProp (Tieleman and Hinton 2012).

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use super::eps_form::EpsForm;
use super::update_rule::{Optimiser, SecondMoment, UpdateRule, positive, share};
use crate::error::Result;

/// RMSProp (Tieleman and Hinton 2012, lecture 6.5 of *Neural Networks for Machine Learning*), as Keras and PyTorch have it.
/// With v = `rho` v + (1 - `rho`) g^2, and for the centred form (Graves 2013) a = `rho` a + (1 - `rho`) g and w = v - a^2, else
/// w = v:
/// - [`EpsForm::Keras`]: b = `momentum` b + lr g / sqrt(w + eps), p -= b;
/// - [`EpsForm::Pytorch`]: b = `momentum` b + g / (sqrt(w) + eps), p -= lr b.
///
/// The defaults are Keras': a learning rate of 1e-3, `rho` 0.9, no momentum, eps 1e-7 (PyTorch's: 1e-2, 0.99, none, 1e-8).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RmsProp {
    /// The size of a step.
    pub learning_rate: f64,
    /// Decay of the average of squares; PyTorch's alpha.
    pub rho: f64,
    /// The share of the last step that is taken again.
    pub momentum: f64,
    /// What keeps the division away from zero.
    pub eps: f64,
    /// Where eps stands.
    pub form: EpsForm,
    /// Whether the gradient's variance takes the place of its mean square.
    pub centred: bool,
}

impl Default for RmsProp {
    fn default() -> RmsProp {
        RmsProp {
            learning_rate: 1e-3,
            rho: 0.9,
            momentum: 0.0,
            eps: 1e-7,
            form: EpsForm::Keras,
            centred: false,
        }
    }
}

impl RmsProp {
    /// Keras' defaults with the given learning rate.
    pub fn new(learning_rate: f64) -> RmsProp {
        RmsProp { learning_rate, ..RmsProp::default() }
    }

    /// Decay of the average of squares.
    #[must_use]
    pub fn rho(mut self, rho: f64) -> RmsProp {
        self.rho = rho;
        self
    }

    /// The share of the last step that is taken again.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> RmsProp {
        self.momentum = momentum;
        self
    }

    /// What keeps the division away from zero, and where it stands.
    #[must_use]
    pub fn eps(mut self, eps: f64, form: EpsForm) -> RmsProp {
        (self.eps, self.form) = (eps, form);
        self
    }

    /// Whether the gradient's variance takes the place of its mean square.
    #[must_use]
    pub fn centred(mut self, centred: bool) -> RmsProp {
        self.centred = centred;
        self
    }
}

impl UpdateRule for RmsProp {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn with_learning_rate(&self, learning_rate: f64) -> Optimiser {
        RmsProp { learning_rate, ..*self }.into()
    }

    fn moments(&self) -> &'static [&'static str] {
        match (self.momentum > 0.0, self.centred) {
            (false, false) => &["v"],
            (true, false) => &["v", "velocity"],
            (false, true) => &["v", "mean"],
            (true, true) => &["v", "velocity", "mean"],
        }
    }

    fn scalars(&self, _t: u64, factor: f64) -> Vec<f64> {
        vec![self.learning_rate * factor]
    }

    fn update<'g>(&self, state: Var<'g>, gradient: Var<'g>, scalars: Var<'g>) -> Var<'g> {
        let row = |i: usize| state.slice(0, i, i + 1);
        let p = row(0);
        let g = gradient.reshape(p.shape());
        let average = |of: Var<'g>, x: Var<'g>| of * self.rho + x * (1.0 - self.rho);
        let v = average(row(1), g.square());
        let mean = self.centred.then(|| average(row(if self.momentum > 0.0 { 3 } else { 2 }), g));
        // Rounding may leave a variance just below zero.
        let spread = mean.map_or(v, |mean| (v - mean.square()).relu());
        let mut step = match self.form {
            EpsForm::Keras => g * scalars * (spread + self.eps).sqrt().reciprocal(),
            EpsForm::Pytorch => g * (spread.sqrt() + self.eps).reciprocal(),
        };
        let mut rows = vec![p, v];
        if self.momentum > 0.0 {
            step = row(2) * self.momentum + step;
            rows.push(step);
        }
        rows.extend(mean);
        rows[0] = match self.form {
            EpsForm::Keras => p - step,
            EpsForm::Pytorch => p - step * scalars,
        };
        Var::concat(&rows, 0)
    }

    fn check(&self) -> Result<()> {
        share("rho", self.rho)?;
        share("momentum", self.momentum)?;
        positive("eps", self.eps)
    }

    fn second_moment(&self) -> Option<SecondMoment> {
        Some(SecondMoment { moment: 0, decay: self.rho })
    }
}
