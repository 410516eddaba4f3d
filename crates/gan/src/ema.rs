//! Averages of a generator's weights over its last steps.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An exponential moving average of the generator's weights and running statistics, whose horizon grows with the
/// run: after t steps it looks back over about `share` t of them, so the start is forgotten however short the run
/// is. (A fixed decay of 0.999 over a thousand steps would average the start in. The weight of an old step falls
/// as a power of its age, as in Karras et al. 2024.)
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Ema {
    /// The horizon as a share of the steps so far.
    pub share: f64,
}

impl Default for Ema {
    fn default() -> Ema {
        Ema { share: 0.05 }
    }
}

impl Ema {
    /// An average with this horizon, a share of the steps so far.
    pub fn new(share: f64) -> Ema {
        Ema { share }
    }

    /// How far the average moves towards the weights after step `step` (from 0).
    pub fn rate(&self, step: u64) -> f64 {
        1.0 / (1.0 + self.share * step as f64)
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.share.is_finite() && self.share > 0.0 {
            return Ok(());
        }
        Err(Error::invalid(format!("the share of an average must be a positive number, got {}", self.share)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of weights that grow by one each step, the average lags behind by about the horizon.
    #[test]
    fn the_horizon_is_a_share_of_the_run() {
        for steps in [200u64, 20_000] {
            let ema = Ema { share: 0.1 };
            let mut average = 0.0;
            for step in 0..steps {
                average += ema.rate(step) * (step as f64 - average);
            }
            let lag = (steps - 1) as f64 - average;
            let share = lag / steps as f64;
            assert!((share - 0.1 / 1.1).abs() < 0.01, "{steps}: {share}");
        }
    }
}
