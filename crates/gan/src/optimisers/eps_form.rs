//! Where eps stands.

use serde::{Deserialize, Serialize};

/// The two published forms of an optimiser with eps, which differ in where it stands. For Adam, with the moments m and v
/// after update t:
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpsForm {
    /// p -= lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps): the end of section 2 of the paper.
    #[default]
    Keras,
    /// p -= lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps): algorithm 1 of the paper.
    Pytorch,
}
