//! metrics.jsonl: what is measured while a run goes on.
//!
//! One JSON object for each logged step, in the order of the steps. A key that could not be measured is left out.
//!
//! | key | what |
//! |---|---|
//! | `step`, `images` | training steps done, and real images seen by then |
//! | `seconds` | how long the run has trained, all its parts together |
//! | `steps_per_second` | since the line before |
//! | `d_real`, `d_fake`, `g` | the losses, means over the steps since the line before |
//! | `g_learning_rate`, `d_learning_rate` | of the last step, its schedule included |
//! | `d_accuracy_real`, `d_accuracy_fake` | the share of the last batch's real and generated images that the discriminator judges rightly; of a relativistic loss, the share of pairs; none of a critic |
//! | `d_score_real`, `d_score_fake` | the mean of what the discriminator says of them (logits, or a critic's scores) |
//! | `g_gradient_norm`, `d_gradient_norm` | the root mean square of the gradient's norm over the last 1/(1 - beta2) updates, from Adam's second moment; none without it |
//! | `diversity` | the root mean squared distance of two generated images of fixed latents, divided by that of two training images; within a class, where there are classes |
//! | `evaluation` | the scores of `evaluate`, with those of real images beside them |
//! | `event` | `kind` (`collapse`, `dominance`, `gradients`, `losses`, `divergence`, `rollback`) and `message` |
//!
//! The file only grows; a run that is resumed or goes back to a checkpoint cuts it to what was known there. All but
//! `seconds` and `steps_per_second` is the same in a resumed run as in one that was never interrupted.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::scores::Evaluation;
use crate::error::{Error, Result};

/// The name of the file in a run directory.
pub const METRICS: &str = "metrics.jsonl";

/// A line of the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the table above says it
pub struct Point {
    pub step: u64,
    pub images: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_real: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_fake: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub g: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub g_learning_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_learning_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_accuracy_real: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_accuracy_fake: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_score_real: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_score_fake: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub g_gradient_norm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_gradient_norm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What kind of thing.
    pub kind: EventKind,
    /// What, and what to do about it.
    pub message: String,
}

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Generated images became alike.
    Collapse,
    /// The discriminator is nearly always right.
    Dominance,
    /// Gradients grew far beyond what they were, or vanished.
    Gradients,
    /// Losses are far beyond those of a run that learns.
    Losses,
    /// A loss or a weight is no longer a finite number.
    Divergence,
    /// The run went back to a checkpoint.
    Rollback,
}

impl Point {
    /// The line, with its end.
    pub fn line(&self) -> Result<String> {
        Ok(serde_json::to_string(self).map_err(Error::failure)? + "\n")
    }
}

/// Reads the file of a run directory; no lines where there is none. A last line without an end is one that is being
/// written and is left out. Errors name the line.
pub fn read(path: &Path) -> Result<Vec<Point>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::cannot_read(path, &e)),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|e| {
                Error::failure(format!("{}, line {}: no metrics of a step ({e})", path.display(), number + 1))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_and_leave_out_what_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(METRICS);
        assert!(read(&path).unwrap().is_empty());
        let first = Point { step: 50, images: 1600, g: Some(0.5), ..Point::default() };
        let event = Event { kind: EventKind::Collapse, message: "all \"alike\"".into() };
        let second = Point { step: 100, images: 3200, event: Some(event.clone()), ..Point::default() };
        assert_eq!(first.line().unwrap(), "{\"step\":50,\"images\":1600,\"g\":0.5}\n");
        let text = first.line().unwrap() + &second.line().unwrap() + "{\"step\":150,\"im";
        std::fs::write(&path, text).unwrap();
        let points = read(&path).unwrap();
        assert_eq!((points.len(), points[0].g, points[1].g), (2, Some(0.5), None));
        assert_eq!(points[1].event, Some(event));
        std::fs::write(&path, "{\"step\":1}\n{\"step\":\"two\"}\n").unwrap();
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains("metrics.jsonl, line 2"), "{message}");
    }

    #[test]
    fn a_number_that_is_none_is_null_and_reads_back_as_nothing() {
        let point = Point { step: 1, g: Some(f64::NAN), ..Point::default() };
        let read: Point = serde_json::from_str(&point.line().unwrap()).unwrap();
        assert_eq!(read.g, None);
    }
}
