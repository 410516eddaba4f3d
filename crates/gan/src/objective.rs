//! Losses of a single model against targets.

use gannet_tensor::{Element, Shape, Var};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::losses::bce;

/// What a single model minimises: a mean over everything, as Keras reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Objective {
    /// Binary cross-entropy against targets in [0, 1] of the output's shape.
    BinaryCrossentropy {
        /// Whether the output is a logit; otherwise it is a probability. As in Keras, one straight from a sigmoid is
        /// judged by what the sigmoid was given, another is cut to [1e-7, 1 - 1e-7].
        from_logits: bool,
    },
    /// The mean of squared differences from targets of the output's shape.
    MeanSquaredError,
    /// Cross-entropy of logits `[classes]` against the number of a class.
    SparseCategoricalCrossentropy,
}

impl Objective {
    /// The shape of a target for an output of the given shape.
    pub(crate) fn target(&self, output: Shape) -> Result<Shape> {
        match self {
            Objective::SparseCategoricalCrossentropy if output.rank() != 1 => Err(Error::invalid(format!(
                "a categorical cross-entropy needs an output of shape [classes], got {output}"
            ))),
            Objective::SparseCategoricalCrossentropy => Ok(Shape::SCALAR),
            _ => Ok(output),
        }
    }

    /// Errors unless there are `n` targets for outputs of the given shape, and those that are classes are there.
    pub(crate) fn check_targets<E: Element>(&self, targets: &[E], n: usize, output: Shape) -> Result<()> {
        let target = self.target(output)?;
        if targets.len() != n * target.len() {
            return Err(Error::invalid(format!(
                "{n} samples take targets of shape {target} each, {} numbers, got {}",
                n * target.len(),
                targets.len()
            )));
        }
        if *self != Objective::SparseCategoricalCrossentropy {
            return Ok(());
        }
        let classes = output.len();
        let is_class = |x: f64| x >= 0.0 && x < classes as f64 && x.fract() == 0.0;
        match targets.iter().position(|target| !is_class(target.to_f64())) {
            Some(sample) => Err(Error::invalid(format!(
                "the target {} of sample {sample} is no class: an output of {classes} numbers has classes 0 to {}",
                targets[sample].to_f64(),
                classes - 1
            ))),
            None => Ok(()),
        }
    }

    /// How many of the targets the outputs `y` [n, output] meet, and how many there are: classes whose number is the
    /// largest, probabilities on the right side of a half. `None` where being right has no meaning.
    pub(crate) fn correct<E: Element>(
        &self,
        y: &[E],
        targets: &[E],
        output: Shape,
    ) -> Option<(usize, usize)> {
        let correct = match *self {
            Objective::MeanSquaredError => return None,
            Objective::SparseCategoricalCrossentropy => {
                let rows = y.chunks_exact(output.len()).zip(targets);
                rows.filter(|(row, target)| largest(row) as f64 == target.to_f64()).count()
            }
            Objective::BinaryCrossentropy { from_logits } => {
                let half = if from_logits { 0.0 } else { 0.5 };
                let right = |(y, t): &(&E, &E)| (y.to_f64() > half) == (t.to_f64() > 0.5);
                y.iter().zip(targets).filter(right).count()
            }
        };
        Some((correct, targets.len()))
    }

    /// The loss of a batch, a scalar.
    pub(crate) fn trace<'g>(&self, y: Var<'g>, targets: Var<'g>) -> Var<'g> {
        match self {
            Objective::BinaryCrossentropy { from_logits: true } => y.bce_logits(targets),
            Objective::BinaryCrossentropy { from_logits: false } => bce(y, targets),
            Objective::MeanSquaredError => (y - targets).square(),
            Objective::SparseCategoricalCrossentropy => y.softmax_cross_entropy(targets),
        }
        .mean_all()
    }
}

/// The position of the largest number, the first of equals.
fn largest<E: Element>(row: &[E]) -> usize {
    let mut best = 0;
    for (i, x) in row.iter().enumerate() {
        if x.to_f64() > row[best].to_f64() {
            best = i;
        }
    }
    best
}
