//! A configuration as a model file (TOML).

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::check::Fault;
use super::following;
use super::gan_config::GanConfig;
use super::woven::Woven;
use crate::augment::Augment;
use crate::ema::Ema;
use crate::error::{Error, Result};
use crate::initialiser::Initialiser;
use crate::layers::Entry;
use crate::losses::Loss;
use crate::optimisers::Optimiser;
use crate::penalties::Penalty;
use crate::pictures::{Capacity, Pictures};
use crate::schedule::Schedule;
use crate::sequential::Sequential;
use crate::update::Training;

impl GanConfig {
    /// Reads a model file. Errors name the line, what is wrong there and what would fit. The length of the run may be
    /// missing, even where the schedule has to know it. A file that follows its pictures is read by
    /// [`from_toml_for`](GanConfig::from_toml_for).
    pub fn from_toml(text: &str) -> Result<GanConfig> {
        Ok(read(text, None)?.config)
    }

    /// Reads a model file for these pictures. In a file that follows them, words stand for their size, channels, classes and
    /// groups and for the channels of each level, and layers are repeated for each level:
    ///
    /// | where | word | number |
    /// |---|---|---|
    /// | `input` of the discriminator | `"image"` | height, width and channels of the pictures |
    /// | `filters`, `units` | `"image"` | channels of the pictures |
    /// | `filters`, `units` | `"channels"`, `"channels * 2"`, `"channels / 2"` | channels of the level, among the layers of `levels` |
    /// | `filters` | `"coarsest"`, with a factor too | channels of the coarsest map |
    /// | `units`, `shape` of `reshape` | `"coarsest"` | the numbers of the coarsest map; its height, width and channels |
    /// | `classes` | `"data"` | labels: classes times groups. Where there are none to tell, `label` is left out, and `projection` is a dense layer |
    /// | `parts` | `"data"` | groups of each class, at least 25 pictures in each and 128 in all |
    ///
    /// `{ levels = { up = [..] } }` repeats layers for each map from twice the coarsest to the picture, `down` for each from half
    /// the picture to the coarsest. The section `[pictures]` says how the pictures are halved: `coarsest_side` (pixels that the
    /// shortest side of the coarsest map has at least, 4), `channels` of the coarsest map (a number, or `"capacity"`),
    /// `least_share` of those that every level has at least (1/16), and `augment_below` (with as many pictures or more, nothing is
    /// augmented). [`recipe::MODEL_FILE`](crate::recipe::MODEL_FILE) is an example.
    ///
    /// A file without all this means what [`from_toml`](GanConfig::from_toml) says. Errors as there, and where the pictures cannot
    /// be halved.
    pub fn from_toml_for(text: &str, pictures: &Pictures, capacity: Capacity) -> Result<GanConfig> {
        let Read { mut config, told, follows } = read(text, Some((*pictures, capacity)))?;
        if follows {
            let made = made_for(config.clusters, told, pictures, capacity);
            config.description = match config.description.as_str() {
                "" => made,
                description => format!("{description}; {made}"),
            };
        }
        Ok(config)
    }

    /// Whether a model file follows its pictures. One that is no TOML does not.
    pub fn follows_pictures(text: &str) -> bool {
        toml::de::DeTable::parse(text).is_ok_and(|table| following::follows(table.get_ref()))
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

/// What a model file says.
struct Read {
    config: GanConfig,
    /// The classes of the data that networks are told, if any.
    told: Option<usize>,
    /// Whether the file follows its pictures.
    follows: bool,
}

fn read(text: &str, pictures: Option<(Pictures, Capacity)>) -> Result<Read> {
    let mistake = |e: toml::de::Error, woven: &Woven| {
        on_line(text, e.span().map(|span| woven.origin(span.start)), &in_words(e.message()))
    };
    let table = toml::de::DeTable::parse(text).map_err(|e| mistake(e, &Woven::plain(text)))?;
    let (woven, unaugmented) = following::followed(text, table.get_ref(), pictures)
        .map_err(|wrong| on_line(text, Some(wrong.at.start), &in_words(&wrong.message)))?;
    let follows = pictures.is_some() && following::follows(table.get_ref());
    let mut table = toml::de::DeTable::parse(woven.text()).map_err(|e| mistake(e, &woven))?;
    table.get_mut().remove(following::SECTION);
    let form = Form::deserialize(toml::Deserializer::from(table)).map_err(|e| mistake(e, &woven))?;
    for (name, network) in [("generator", &form.generator), ("discriminator", &form.discriminator)] {
        network.named(name).build().map_err(|e| network.located(name, e, text, &woven))?;
    }
    let mut config = GanConfig::from(form);
    if unaugmented {
        config.augment = None;
    }
    let mut whole = config.clone();
    whole.steps.get_or_insert(1);
    let (generator, discriminator) = whole.check().map_err(|fault| located(fault, text))?;
    let labels = config.conditional(&generator, &discriminator);
    let told = labels.and_then(|labels| config.classes_among(labels));
    Ok(Read { config, told, follows })
}

/// What a configuration was made for, in words.
fn made_for(groups: usize, classes: Option<usize>, pictures: &Pictures, capacity: Capacity) -> String {
    let &Pictures { height, width, channels, .. } = pictures;
    let told = classes.map_or(String::new(), |classes| format!(" in {classes} classes"));
    let alike = match (groups, classes) {
        (1, _) => String::new(),
        (groups, None) => format!(" in {groups} groups that look alike"),
        (groups, Some(_)) => format!(" of {groups} groups each that look alike"),
    };
    format!("made for pictures of {width} x {height} x {channels}{told}{alike}, {} capacity", capacity.name())
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
    fn located(&self, name: &'static str, error: Error, text: &str, woven: &Woven) -> Error {
        let start = match &error {
            Error::Layer { index, .. } => {
                self.layers.get(*index).map(|layer| woven.origin(layer.span().start))
            }
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
fn in_words(message: &str) -> String {
    let mut message = message.to_owned();
    for (rust, words) in [
        ("expected usize", "expected a whole number of at least 0"),
        ("expected u64", "expected a whole number of at least 0"),
        ("expected f64", "expected a number"),
        ("expected a sequence", "expected a list [..]"),
    ] {
        message = message.replace(rust, words);
    }
    message
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
