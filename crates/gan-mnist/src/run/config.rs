//! config.toml: every setting of a run.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use gannet_data::DataRecord;
use serde::{Deserialize, Serialize};

use super::metrics_settings::MetricsSettings;
use crate::error::{Error, Result};

/// The name of the settings in a run directory.
pub const CONFIG: &str = "config.toml";

/// Every setting of a run, as config.toml shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The version of the program.
    pub version: String,
    /// The name of the networks and the recipe.
    pub preset: String,
    /// How many steps the run takes.
    pub steps: u64,
    /// How many images it sees: steps times those of a step.
    pub images: u64,
    /// Images in a batch.
    pub batch_size: usize,
    /// Batches that a step is made of.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: u64,
    /// Adam's learning rate at the start.
    pub learning_rate: f64,
    /// Steps between two sample grids.
    pub sample_every: u64,
    /// Time or steps between two checkpoints, as `--checkpoint-every` takes it.
    pub checkpoint_every: String,
    /// How many checkpoints are kept.
    pub keep_checkpoints: usize,
    /// What all random numbers follow from.
    pub seed: u64,
    /// What `--device` came to.
    pub device: String,
    /// What `--adapter` chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The device in words.
    pub device_description: String,
    /// Which tiles a GPU computes products in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiles: Option<String>,
    /// Threads of the device.
    pub threads: usize,
    /// The command that began the run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// What `resume` made otherwise, in the order of the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What is measured meanwhile.
    #[serde(default)]
    pub metrics: MetricsSettings,
    /// The training images.
    pub data: DataRecord,
    /// The networks, losses and optimisers that all of this came to: a model file.
    pub model: toml::Table,
}

/// A change of the recipe in the middle of a run: what was until then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The steps that were done.
    pub step: u64,
    /// The images that they saw.
    pub images: u64,
    /// Images in a batch until then.
    pub batch_size: usize,
    /// Batches that a step was made of until then.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: u64,
    /// Adam's learning rate until then.
    pub learning_rate: f64,
}

fn one() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_one(x: &u64) -> bool {
    *x == 1
}

impl Change {
    /// Images per step until then.
    fn images_per_step(&self) -> u64 {
        self.accumulate * self.batch_size as u64
    }
}

impl Config {
    /// Images per step.
    pub fn images_per_step(&self) -> u64 {
        self.accumulate * self.batch_size as u64
    }

    /// The training images that the first `step` steps see.
    pub fn images_seen(&self, step: u64) -> u64 {
        let later = self.changes.iter().find(|change| step <= change.step);
        if let Some(change) = later {
            // A change knows the size until then; those before it have been passed over.
            return change.images - (change.step - step) * change.images_per_step();
        }
        let (from, images) = self.changes.last().map_or((0, 0), |change| (change.step, change.images));
        images.saturating_add((step - from).saturating_mul(self.images_per_step()))
    }

    /// As config.toml has it.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(Error::failure)
    }

    /// What config.toml says that is not so, if someone changed it: a setting, what it is there, and what it is.
    pub(super) fn changed_in(&self, text: &str) -> std::result::Result<(), String> {
        let found: toml::Table = text.parse().map_err(|e: toml::de::Error| e.message().to_owned())?;
        let own: toml::Table = toml::Table::try_from(self).map_err(|e| e.to_string())?;
        // What a run's going on changes may lag behind in the file.
        const LAG: [&str; 15] = [
            "version",
            // History, which decides nothing.
            "command",
            "steps",
            "images",
            "checkpoint_every",
            "keep_checkpoints",
            "device",
            "adapter",
            "device_description",
            "tiles",
            "threads",
            "model.steps",
            "data.path",
            "data.images",
            "data.sha256",
        ];
        const SHOWN: usize = 100;
        let say = |value: Option<&toml::Value>| match value {
            None => "missing".into(),
            Some(toml::Value::Table(_)) => "a table".into(),
            Some(value) => {
                let text = value.to_string();
                let shown: String = text.chars().take(SHOWN).collect();
                if shown.len() < text.len() { shown + " ..." } else { shown }
            }
        };
        let changes = |table: &toml::Table| {
            table.get("changes").and_then(toml::Value::as_array).map_or(0, |changes| changes.len())
        };
        // So may all that a change changes, until it is written down.
        const CHANGED: [&str; 8] = [
            "changes",
            "batch_size",
            "accumulate",
            "learning_rate",
            "model.batch_size",
            "model.accumulate",
            "model.generator.optimiser",
            "model.discriminator.optimiser",
        ];
        let behind = if changes(&found) < changes(&own) { &CHANGED[..] } else { &[] };
        let lag: Vec<&str> = LAG.iter().chain(behind).copied().collect();
        if let Some((path, found, own)) = difference(&found, &own, "", &lag) {
            return Err(format!("{path} is {}, but in this run it is {}", say(found), say(own)));
        }
        match found.get("steps").and_then(toml::Value::as_integer) {
            Some(steps) if steps > self.steps as i64 => Err(format!(
                "steps is {steps}, but the run takes {}; `resume --steps MORE` makes it longer",
                self.steps
            )),
            _ => Ok(()),
        }
    }
}

type Difference<'a> = (String, Option<&'a toml::Value>, Option<&'a toml::Value>);

/// The first entry that is not the same in both tables, with both values, but for the paths in `except`.
fn difference<'a>(
    a: &'a toml::Table,
    b: &'a toml::Table,
    prefix: &str,
    except: &[&str],
) -> Option<Difference<'a>> {
    b.keys().chain(a.keys().filter(|key| !b.contains_key(*key))).find_map(|key| {
        let path = format!("{prefix}{key}");
        match (a.get(key), b.get(key)) {
            _ if except.contains(&path.as_str()) => None,
            (Some(toml::Value::Table(a)), Some(toml::Value::Table(b))) => {
                difference(a, b, &format!("{path}."), except)
            }
            (a, b) if a == b => None,
            (a, b) => Some((path, a, b)),
        }
    })
}

/// What the run in a folder wrote down of its images, if there is a run that did.
pub fn data_of_run(folder: &Path) -> Result<Option<DataRecord>> {
    let path = folder.join(CONFIG);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(Error::cannot_read(&path, &e)),
    };
    #[derive(Deserialize)]
    struct Settings {
        data: Option<DataRecord>,
    }
    let settings: Settings = toml::from_str(&text).map_err(|e| Error::in_toml(&path, &text, &e))?;
    Ok(settings.data)
}
