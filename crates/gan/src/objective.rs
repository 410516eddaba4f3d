//! Losses of a single model against targets.

use gannet_tensor::{Shape, Var};
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
