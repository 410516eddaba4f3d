//! A configuration as a model file (TOML).

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::check::Fault;
use super::gan_config::GanConfig;
use crate::augment::Augment;
use crate::ema::Ema;
use crate::error::{Error, Result};
use crate::initialiser::Initialiser;
use crate::layers::Entry;
use crate::losses::Loss;
use crate::optimisers::Optimiser;
use crate::penalties::Penalty;
use crate::schedule::Schedule;
use crate::sequential::Sequential;
use crate::update::Training;

impl GanConfig {
    /// Reads a model file. Errors name the line, what is wrong there and what would fit. The length of the run may be
    /// missing, even where the schedule has to know it.
    pub fn from_toml(text: &str) -> Result<GanConfig> {
        let form: Form = toml::from_str(text).map_err(|e| unreadable(&e, text))?;
        for (name, network) in [("generator", &form.generator), ("discriminator", &form.discriminator)] {
            network.named(name).build().map_err(|e| network.located(name, e, text))?;
        }
        let config = GanConfig::from(form);
        let mut whole = config.clone();
        whole.steps.get_or_insert(1);
        whole.check().map_err(|fault| located(fault, text))?;
        Ok(config)
    }

    /// This configuration as a model file. Errors, naming it, when a layer, a loss or an optimiser could not be read again:
    /// one of your own has to be registered ([layers](crate::layers::register), [losses](crate::losses::register),
    /// [optimisers](crate::optimisers::register)).
    pub fn to_toml(&self) -> Result<String> {
        self.check_described()?;
        toml::to_string(&Form::from(self)).map_err(|e| Error::Config(e.to_string()))
    }

    /// Errors, naming the layer, when one could not be read from a file again.
    pub(crate) fn check_described(&self) -> Result<()> {
        self.generator.check_described()?;
        self.discriminator.check_described()
    }
}

/// A model file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    #[serde(default = "custom")]
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    batch_size: usize,
    #[serde(default = "once", skip_serializing_if = "is_once")]
    accumulate: u64,
    #[serde(default)]
    loss: Loss,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    real_target: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    penalties: Vec<Penalty>,
    #[serde(default, skip_serializing_if = "is_zero")]
    auxiliary: f64,
    #[serde(rename = "parts", default = "whole", skip_serializing_if = "is_whole")]
    clusters: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    augment: Option<Augment>,
    #[serde(default = "once", skip_serializing_if = "is_once")]
    discriminator_steps: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    separate_updates: bool,
    #[serde(default)]
    schedule: Schedule,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steps: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ema: Option<Ema>,
    #[serde(default = "forty_two")]
    seed: u64,
    /// Each class of the data, in the order of their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    class_names: Vec<String>,
    generator: Network,
    discriminator: Network,
}

/// One of the two models in a model file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    input: Vec<usize>,
    #[serde(default)]
    optimiser: Optimiser,
    #[serde(default = "glorot")]
    initialiser: Initialiser,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clip_norm: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clip_weights: Option<f64>,
    /// Layers whose parameters are not trained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    frozen: Vec<String>,
    layers: Vec<Spanned<Entry>>,
}

fn custom() -> String {
    "custom".into()
}

fn one() -> f64 {
    1.0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_one(x: &f64) -> bool {
    *x == 1.0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

fn whole() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_whole(x: &usize) -> bool {
    *x == 1
}

fn once() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_once(x: &u64) -> bool {
    *x == 1
}

fn forty_two() -> u64 {
    42
}

fn glorot() -> Initialiser {
    Initialiser::GlorotUniform
}

impl Network {
    fn of(model: &Sequential, training: &Training<'_>) -> Network {
        Network {
            input: model.input.clone(),
            optimiser: training.optimiser.clone(),
            clip_norm: training.clip_norm,
            clip_weights: training.clip_weights,
            initialiser: model.initialiser,
            frozen: model.frozen.clone(),
            layers: model.layers.iter().cloned().map(|layer| Spanned::new(0..0, Entry(layer))).collect(),
        }
    }

    fn named(&self, name: &str) -> Sequential {
        Sequential {
            name: name.into(),
            input: self.input.clone(),
            layers: self.layers.iter().map(|entry| entry.get_ref().0.clone()).collect(),
            initialiser: self.initialiser,
            frozen: self.frozen.clone(),
        }
    }
}

impl Network {
    /// An error about one of the layers, with its line in the file.
    fn located(&self, name: &'static str, error: Error, text: &str) -> Error {
        let start = match &error {
            Error::Layer { index, .. } => self.layers.get(*index).map(|layer| layer.span().start),
            _ if Sequential { frozen: Vec::new(), ..self.named(name) }.build().is_ok() => {
                key_start(text, &[name, "frozen"])
            }
            _ => key_start(text, &[name, "input"]),
        };
        on_line(text, start, &error.to_string())
    }
}

/// An error about a configuration, with the line of the file that its cause stands in.
fn located(fault: Fault, text: &str) -> Error {
    on_line(text, key_start(text, fault.keys), &fault.error.to_string())
}

/// Where the value of these keys, from the outermost in, begins in a text of TOML; of the last one that is there.
fn key_start(text: &str, keys: &[&str]) -> Option<usize> {
    let root = toml::de::DeTable::parse(text).ok()?;
    let (mut table, mut start) = (root.get_ref(), None);
    for key in keys {
        let Some(value) = table.get(*key) else { break };
        start = Some(value.span().start);
        match value.get_ref() {
            toml::de::DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    start
}

/// An error at this byte of a model file: the line's number, the line, the message.
fn on_line(text: &str, start: Option<usize>, message: &str) -> Error {
    let Some(before) = start.and_then(|start| text.get(..start)) else {
        return Error::Config(message.to_owned());
    };
    let line = before.matches('\n').count() + 1;
    let source = text.lines().nth(line - 1).unwrap_or_default().trim();
    Error::Config(format!("line {line}: {message}\n  |{source}"))
}

/// What does not fit the form of a model file, in words for people.
fn unreadable(error: &toml::de::Error, text: &str) -> Error {
    let mut message = error.message().to_owned();
    for (rust, words) in [
        ("expected usize", "expected a whole number of at least 0"),
        ("expected u64", "expected a whole number of at least 0"),
        ("expected f64", "expected a number"),
        ("expected a sequence", "expected a list [..]"),
    ] {
        message = message.replace(rust, words);
    }
    on_line(text, error.span().map(|span| span.start), &message)
}

impl From<&GanConfig> for Form {
    fn from(config: &GanConfig) -> Form {
        Form {
            name: config.name.clone(),
            description: config.description.clone(),
            batch_size: config.batch_size,
            accumulate: config.accumulate,
            loss: config.loss.clone(),
            real_target: config.real_target,
            penalties: config.penalties.clone(),
            auxiliary: config.auxiliary,
            clusters: config.clusters,
            augment: config.augment,
            discriminator_steps: config.discriminator_steps,
            separate_updates: config.separate_updates,
            schedule: config.schedule,
            steps: config.steps,
            ema: config.ema,
            seed: config.seed,
            class_names: config.class_names.clone(),
            generator: Network::of(&config.generator, &config.generator_training()),
            discriminator: Network::of(&config.discriminator, &config.discriminator_training()),
        }
    }
}

impl From<Form> for GanConfig {
    fn from(form: Form) -> GanConfig {
        GanConfig {
            name: form.name,
            description: form.description,
            generator: form.generator.named("generator"),
            discriminator: form.discriminator.named("discriminator"),
            generator_optimiser: form.generator.optimiser,
            discriminator_optimiser: form.discriminator.optimiser,
            loss: form.loss,
            real_target: form.real_target,
            penalties: form.penalties,
            auxiliary: form.auxiliary,
            clusters: form.clusters,
            augment: form.augment,
            discriminator_steps: form.discriminator_steps,
            separate_updates: form.separate_updates,
            generator_clip_norm: form.generator.clip_norm,
            discriminator_clip_norm: form.discriminator.clip_norm,
            clip_weights: form.discriminator.clip_weights,
            batch_size: form.batch_size,
            accumulate: form.accumulate,
            schedule: form.schedule,
            steps: form.steps,
            ema: form.ema,
            seed: form.seed,
            class_names: form.class_names,
        }
    }
}
