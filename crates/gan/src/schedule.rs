//! Learning rates over a run.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How learning rates change over a run of a known number of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// The same from start to end.
    #[default]
    Constant,
    /// Constant at first, then linear to zero.
    Linear {
        /// The share of the run at which the decay begins, in [0, 1).
        from: f64,
    },
    /// Half a cosine, from the full rate to zero (Loshchilov and Hutter 2017).
    Cosine,
}

impl Schedule {
    /// What the learning rate is multiplied with in step `step` (from 0) of `steps`.
    pub fn factor(&self, step: u64, steps: u64) -> f64 {
        let progress = (step as f64 / steps.max(1) as f64).min(1.0);
        match *self {
            Schedule::Constant => 1.0,
            Schedule::Linear { from } => ((1.0 - progress) / (1.0 - from)).min(1.0),
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        }
    }

    /// Whether the length of the run has to be known.
    pub fn needs_length(&self) -> bool {
        *self != Schedule::Constant
    }

    pub(crate) fn check(&self) -> Result<()> {
        match *self {
            Schedule::Linear { from } if !(0.0..1.0).contains(&from) => Err(Error::invalid(format!(
                "a linear schedule begins at a share of the run of at least 0 and less than 1, got {from}"
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_begin_at_one_and_fall_to_zero() {
        let linear = Schedule::Linear { from: 0.5 };
        assert_eq!([0, 50, 75, 100].map(|step| linear.factor(step, 100)), [1.0, 1.0, 0.5, 0.0]);
        assert_eq!(Schedule::Cosine.factor(0, 100), 1.0);
        assert!((Schedule::Cosine.factor(50, 100) - 0.5).abs() < 1e-12);
        assert!(Schedule::Cosine.factor(100, 100).abs() < 1e-12);
        assert_eq!(Schedule::Constant.factor(7, 0), 1.0);
    }
}
