//! Adam (Kingma and Ba 2015).

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use super::eps_form::EpsForm;
use super::update_rule::{Optimiser, SecondMoment, UpdateRule, positive, share};
use crate::error::Result;

/// Adam (Kingma and Ba 2015). The defaults are Keras': learning rate 1e-3, betas 0.9 and 0.999, eps 1e-7.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Adam {
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
}

impl Default for Adam {
    fn default() -> Adam {
        Adam { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-7, form: EpsForm::Keras }
    }
}

impl Adam {
    /// Keras' defaults with the given learning rate.
    pub fn new(learning_rate: f64) -> Adam {
        Adam { learning_rate, ..Adam::default() }
    }

    /// The decays of the two moments. GANs use 0.5 for the first.
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Adam {
        self.beta1 = beta1;
        self.beta2 = beta2;
        self
    }

    /// What keeps the division away from zero, and where it stands.
    #[must_use]
    pub fn eps(mut self, eps: f64, form: EpsForm) -> Adam {
        self.eps = eps;
        self.form = form;
        self
    }

    /// The step size and the eps of update `t`, counted from 1, for the operation
    /// p -= step_size m / (sqrt(v) + eps), which is either form.
    pub fn step_size_and_eps(&self, t: u64, factor: f64) -> [f64; 2] {
        let t = t.max(1) as f64;
        let (beta1, beta2) = match self.form {
            // Keras turns the betas into single-precision tensors before it raises them to a power, in any precision;
            // with beta2 = 0.999 the first steps differ by 6e-6 from the formula.
            EpsForm::Keras => (f64::from(self.beta1 as f32), f64::from(self.beta2 as f32)),
            EpsForm::Pytorch => (self.beta1, self.beta2),
        };
        let correction1 = 1.0 - beta1.powf(t);
        let correction2 = (1.0 - beta2.powf(t)).sqrt();
        let eps = match self.form {
            EpsForm::Keras => self.eps,
            EpsForm::Pytorch => self.eps * correction2,
        };
        [self.learning_rate * factor * correction2 / correction1, eps]
    }
}

impl UpdateRule for Adam {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn with_learning_rate(&self, learning_rate: f64) -> Optimiser {
        Adam { learning_rate, ..*self }.into()
    }

    fn moments(&self) -> &'static [&'static str] {
        &["m", "v"]
    }

    fn scalars(&self, t: u64, factor: f64) -> Vec<f64> {
        self.step_size_and_eps(t, factor).to_vec()
    }

    fn update<'g>(&self, state: Var<'g>, gradient: Var<'g>, scalars: Var<'g>) -> Var<'g> {
        state.adam(gradient, scalars, self.beta1, self.beta2)
    }

    fn check(&self) -> Result<()> {
        share("beta1", self.beta1)?;
        share("beta2", self.beta2)?;
        positive("eps", self.eps)
    }

    fn second_moment(&self) -> Option<SecondMoment> {
        Some(SecondMoment { moment: 1, decay: self.beta2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both published forms, written out, against the scalars.
    #[test]
    fn scalars_give_both_published_forms() {
        for form in [EpsForm::Keras, EpsForm::Pytorch] {
            // Betas that single precision holds exactly, as Keras would round others.
            let adam = Adam::new(0.1).betas(0.5, 0.875).eps(0.01, form);
            let (mut m, mut v) = (0.0f64, 0.0f64);
            for (t, g) in [(1, 0.3), (2, -0.7), (3, 0.2)] {
                m = 0.5 * m + 0.5 * g;
                v = 0.875 * v + 0.125 * g * g;
                let (c1, c2) = (1.0 - 0.5f64.powi(t), 1.0 - 0.875f64.powi(t));
                let expected = match form {
                    EpsForm::Keras => 0.1 * c2.sqrt() / c1 * m / (v.sqrt() + 0.01),
                    EpsForm::Pytorch => 0.1 * (m / c1) / ((v / c2).sqrt() + 0.01),
                };
                let [step_size, eps] = adam.step_size_and_eps(t as u64, 1.0);
                let got = step_size * m / (v.sqrt() + eps);
                assert!((got - expected).abs() < 1e-15, "{form:?} {t}: {got} {expected}");
            }
        }
    }
}
