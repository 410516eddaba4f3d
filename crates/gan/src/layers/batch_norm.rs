//! Batch normalisation.

use crate::layer::{Mode, State};
use crate::layers::prelude::*;

/// Batch normalisation of every channel, the last axis (Ioffe and Szegedy 2015), with Keras' meaning: while
/// training by the mean and the biased variance of the batch, in inference by the running statistics, which
/// every training pass moves: running = `momentum` running + (1 - `momentum`) batch. The moving variance, too,
/// is updated with the biased variance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BatchNorm {
    /// The share of the running statistics that a training pass keeps.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Added to the variance under the root.
    #[serde(default = "eps")]
    pub eps: f64,
}

fn momentum() -> f64 {
    0.99
}

fn eps() -> f64 {
    1e-3
}

impl Default for BatchNorm {
    fn default() -> BatchNorm {
        BatchNorm { momentum: momentum(), eps: eps() }
    }
}

impl BatchNorm {
    /// Keras' defaults: momentum 0.99, eps 1e-3.
    pub fn new() -> BatchNorm {
        BatchNorm::default()
    }

    /// The share of the running statistics that a training pass keeps.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> BatchNorm {
        self.momentum = momentum;
        self
    }

    /// Added to the variance under the root.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> BatchNorm {
        self.eps = eps;
        self
    }
}

impl Layer for BatchNorm {
    kind!("batch_norm");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::invalid(format!("momentum must lie in 0 to 1, got {}", self.momentum)));
        }
        if !(self.eps.is_finite() && self.eps > 0.0) {
            return Err(Error::invalid(format!("eps must be a positive number, got {}", self.eps)));
        }
        if input.rank() == 0 {
            return Err(Error::invalid("expected an input with a channel axis, got []"));
        }
        Ok(input)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        vec![
            Parameter::new("gamma", [input.last()], Initialiser::Ones),
            Parameter::new("beta", [input.last()], Initialiser::Zeros),
        ]
    }

    fn states(&self, input: Shape) -> Vec<State> {
        moving_statistics(input)
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let (gamma, beta) = (cx.parameter("gamma")?, cx.parameter("beta")?);
        let Mode::Training { groups } = cx.pass().mode else {
            return Ok(x.batch_norm(cx.state("moving")?, gamma, beta, self.eps));
        };
        let (y, stats) = x.batch_norm_train(gamma, beta, self.eps, groups);
        update_moving(stats, groups, self.momentum, cx)?;
        Ok(y)
    }
}

/// Running statistics of every channel, the state `moving`.
pub(super) fn moving_statistics(input: Shape) -> Vec<State> {
    let rows = vec![("moving_mean".into(), Initialiser::Zeros), ("moving_variance".into(), Initialiser::Ones)];
    vec![State { name: "moving".into(), rows, len: input.last() }]
}

/// Moves the running statistics towards those of each group of the batch, in order.
pub(super) fn update_moving<'g>(
    stats: Var<'g>,
    groups: usize,
    momentum: f64,
    cx: &mut Context<'_, 'g>,
) -> Result<()> {
    let mut moving = cx.state("moving")?;
    for group in 0..groups {
        let batch = stats.slice(0, 2 * group, 2 * group + 2);
        moving = moving.lerp(batch, cx.graph().fill([1], 1.0 - momentum));
    }
    cx.set_state("moving", moving);
    Ok(())
}
