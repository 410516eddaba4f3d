//! What rank 0 tells the others.

use serde::{Deserialize, Serialize};

/// What comes next, for all ranks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Control {
    /// The run begins, or goes on. The state of the model follows, and the list of the pictures.
    Begin(Box<Begin>),
    /// The step after so many.
    Step(u64),
    /// Back to a state, which follows, with learning rates times this.
    Rewind(f64),
    /// On from a state, which follows: that of rank 0 at this step.
    Take,
    /// The run ends here.
    End,
}

/// What a rank has to know to take part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    /// The version of rank 0's program.
    pub version: String,
    /// The settings of the run, as config.toml has them.
    pub settings: String,
    /// Whether it is trained on pictures that are listed.
    pub listed: bool,
}
