//! What is measured in a run, and what is done about what that shows.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What happens when a run collapses or diverges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCollapse {
    /// It is said; a collapsed run goes on, a diverged one fails
    #[default]
    Warn,
    /// The run ends there
    Stop,
    /// Go back to the last good checkpoint, three times at most, each time with half the learning rates
    Rollback,
}

/// What is measured in a run: the table `[metrics]` of config.toml.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsSettings {
    /// Steps between two lines of metrics.jsonl.
    pub log_every: u64,
    /// Steps between two evaluations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_every: Option<u64>,
    /// Images that each of them scores.
    pub evaluate_count: u64,
    /// The classifier that `--classifier` named, a copy of which is in the run directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<String>,
    /// The SHA-256 of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier_sha256: Option<String>,
    /// What is done about a collapse.
    pub on_collapse: OnCollapse,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        MetricsSettings {
            log_every: 50,
            evaluate_every: None,
            evaluate_count: 2000,
            classifier: None,
            classifier_sha256: None,
            on_collapse: OnCollapse::Warn,
        }
    }
}
