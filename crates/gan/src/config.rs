//! Everything that makes a GAN: two models, a loss, optimisers, a schedule. It is data: it can be written as a
//! model file (TOML) and read again.

use gannet_tensor::Shape;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::augment::Augment;
use crate::ema::Ema;
use crate::error::{Error, Result};
use crate::initialiser::Initialiser;
use crate::layers::Entry;
use crate::losses::Loss;
use crate::model::Model;
use crate::optimisers::Optimiser;
use crate::parts::MAX_PARTS;
use crate::penalties::Penalty;
use crate::schedule::Schedule;
use crate::sequential::Sequential;
use crate::step::Training;

/// The most numbers that a batch of images may have.
const MAX_BATCH: usize = 1 << 30;

/// Everything that makes a GAN. Made from two models with [`new`](GanConfig::new), from a model file with
/// [`from_toml`](GanConfig::from_toml), or from a [preset](crate::presets).
#[derive(Clone, Debug)]
pub struct GanConfig {
    /// The name of the recipe.
    pub name: String,
    /// What the recipe is, in a line.
    pub description: String,
    /// From latents `[z]` to images [H, W, C].
    pub generator: Sequential,
    /// From images [H, W, C] to one number: how real an image looks.
    pub discriminator: Sequential,
    /// How the generator follows its gradient.
    pub generator_optimiser: Optimiser,
    /// How the discriminator follows its gradient.
    pub discriminator_optimiser: Optimiser,
    /// What both minimise.
    pub loss: Loss,
    /// The target for real images: 1, or less for one-sided label smoothing (Salimans et al. 2016).
    pub real_target: f64,
    /// Penalties on the discriminator's gradient.
    pub penalties: Vec<Penalty>,
    /// The weight of an auxiliary classifier (ACGAN, Odena et al. 2017). Where it is not 0, the discriminator ends in
    /// 1 + classes numbers: the score and a logit per class, which both models are also trained to get right.
    pub auxiliary: f64,
    /// How many parts of equal size each class is cut into, or the whole data set for a model without classes; 1 for
    /// none. The models then count `classes * parts` classes, train on the labels that [`partition`](crate::partition)
    /// gives, and draw parts by themselves when they make images.
    pub parts: usize,
    /// What is done to images before the discriminator sees them.
    pub augment: Option<Augment>,
    /// Updates of the discriminator for each of the generator.
    pub discriminator_steps: u64,
    /// Whether the discriminator is updated on real and on generated images by themselves, one after the other, instead
    /// of on both at once: two updates with losses of their own in each step.
    pub separate_updates: bool,
    /// The longest gradient of the generator; a longer one is scaled down to it.
    pub generator_clip_norm: Option<f64>,
    /// The longest gradient of the discriminator; a longer one is scaled down to it.
    pub discriminator_clip_norm: Option<f64>,
    /// The largest absolute value of the discriminator's weights, which are cut to it after every update: how the first
    /// WGAN (Arjovsky et al. 2017) kept its critic Lipschitz.
    pub clip_weights: Option<f64>,
    /// Images in a batch.
    pub batch_size: usize,
    /// How the learning rates change over the run.
    pub schedule: Schedule,
    /// The length of the run in steps, which any schedule but the constant one has to know.
    pub steps: Option<u64>,
    /// The average of the generator that images are drawn from; without it, the generator itself.
    pub ema: Option<Ema>,
    /// What all randomness starts from.
    pub seed: u64,
}

impl GanConfig {
    /// Two models with the non-saturating loss, Adam as Keras has it, a batch of 32, constant learning rates, no
    /// average and seed 42.
    pub fn new(generator: Sequential, discriminator: Sequential) -> GanConfig {
        GanConfig {
            name: "custom".into(),
            description: String::new(),
            generator,
            discriminator,
            generator_optimiser: Optimiser::default(),
            discriminator_optimiser: Optimiser::default(),
            loss: Loss::default(),
            real_target: 1.0,
            penalties: Vec::new(),
            auxiliary: 0.0,
            parts: 1,
            augment: None,
            discriminator_steps: 1,
            separate_updates: false,
            generator_clip_norm: None,
            discriminator_clip_norm: None,
            clip_weights: None,
            batch_size: 32,
            schedule: Schedule::Constant,
            steps: None,
            ema: None,
            seed: 42,
        }
    }

    /// The same optimiser for both models.
    #[must_use]
    pub fn optimiser(mut self, optimiser: impl Into<Optimiser>) -> GanConfig {
        self.generator_optimiser = optimiser.into();
        self.discriminator_optimiser = self.generator_optimiser;
        self
    }

    /// What both models minimise.
    #[must_use]
    pub fn loss(mut self, loss: Loss) -> GanConfig {
        self.loss = loss;
        self
    }

    /// Adds a penalty on the discriminator's gradient.
    #[must_use]
    pub fn penalty(mut self, penalty: Penalty) -> GanConfig {
        self.penalties.push(penalty);
        self
    }

    /// Updates of the discriminator for each of the generator.
    #[must_use]
    pub fn discriminator_steps(mut self, steps: u64) -> GanConfig {
        self.discriminator_steps = steps;
        self
    }

    /// How many parts each class is cut into, or the whole data set for a model without classes.
    #[must_use]
    pub fn parts(mut self, parts: usize) -> GanConfig {
        self.parts = parts;
        self
    }

    /// Images in a batch.
    #[must_use]
    pub fn batch_size(mut self, batch_size: usize) -> GanConfig {
        self.batch_size = batch_size;
        self
    }

    /// How the learning rates change over a run of `steps` steps.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule, steps: u64) -> GanConfig {
        self.schedule = schedule;
        self.steps = Some(steps);
        self
    }

    /// The average of the generator that images are drawn from.
    #[must_use]
    pub fn ema(mut self, ema: Option<Ema>) -> GanConfig {
        self.ema = ema;
        self
    }

    /// What all randomness starts from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> GanConfig {
        self.seed = seed;
        self
    }

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
        whole.check().map_err(|fault| fault.located(text))?;
        Ok(config)
    }

    /// This configuration as a model file. Errors, naming the layer, when one could not be read again: one of your own
    /// has to be [registered](crate::layers::register).
    pub fn to_toml(&self) -> Result<String> {
        self.check_described()?;
        toml::to_string(&Form::from(self)).map_err(|e| Error::Config(e.to_string()))
    }

    /// Errors, naming the layer, when one could not be read from a file again.
    pub(crate) fn check_described(&self) -> Result<()> {
        self.generator.check_described()?;
        self.discriminator.check_described()
    }

    /// Builds both models. Errors when a number is impossible or anything does not fit together.
    pub fn build(&self) -> Result<(Model, Model)> {
        self.check().map_err(|fault| fault.error)
    }

    /// [`build`](GanConfig::build), with the keys of a model file under which an error's cause stands.
    fn check(&self) -> Result<(Model, Model), Fault> {
        let at = |keys: &'static [&'static str]| move |error| Fault { keys, error };
        let wrong = |keys: &'static [&'static str], message: String| Err(at(keys)(Error::invalid(message)));
        self.schedule.check().map_err(at(&["schedule"]))?;
        for (optimiser, keys, context) in [
            (&self.generator_optimiser, &["generator", "optimiser"], "generator, optimiser"),
            (&self.discriminator_optimiser, &["discriminator", "optimiser"], "discriminator, optimiser"),
        ] {
            optimiser.check().map_err(|e| at(keys)(e.context(context)))?;
        }
        if let Some(ema) = self.ema {
            ema.check().map_err(at(&["ema"]))?;
        }
        if !(0.0..=1.0).contains(&self.real_target) {
            let message = format!("real_target must lie in 0 to 1, got {}", self.real_target);
            return wrong(&["real_target"], message);
        }
        if self.real_target != 1.0 && !self.loss.has_target() {
            let message = "real_target smooths the labels of real images, but this loss has no labels";
            return wrong(&["real_target"], message.into());
        }
        for penalty in &self.penalties {
            penalty.check().map_err(at(&["penalties"]))?;
        }
        for (keys, x) in [
            (&["generator", "clip_norm"], self.generator_clip_norm),
            (&["discriminator", "clip_norm"], self.discriminator_clip_norm),
            (&["discriminator", "clip_weights"], self.clip_weights),
        ] {
            if let Some(x) = x
                && !(x.is_finite() && x > 0.0)
            {
                return wrong(keys, format!("{} must be a positive number, got {x}", keys.join(", ")));
            }
        }
        if !(self.auxiliary.is_finite() && self.auxiliary >= 0.0) {
            let message = format!("auxiliary must be a number of at least 0, got {}", self.auxiliary);
            return wrong(&["auxiliary"], message);
        }
        if self.discriminator_steps == 0 {
            return wrong(&["discriminator_steps"], "discriminator_steps must be at least 1, got 0".into());
        }
        if self.separate_updates && (self.loss.is_relativistic() || !self.penalties.is_empty()) {
            let message = "separate_updates does not go with a relativistic loss or penalties: they need both kinds of \
                           images";
            return wrong(&["separate_updates"], message.into());
        }
        if self.schedule.needs_length() && self.steps.is_none_or(|steps| steps == 0) {
            let message = "a learning rate that decays has to know the length of the run: set steps";
            return wrong(&["steps"], message.into());
        }
        let generator = self.generator.build().map_err(at(&["generator", "layers"]))?;
        let discriminator = self.discriminator.build().map_err(at(&["discriminator", "layers"]))?;
        for (keys, model) in
            [(&["generator", "layers"], &generator), (&["discriminator", "layers"], &discriminator)]
        {
            if let Some((input, _)) = model.inputs().first() {
                let message =
                    format!("a layer of the {} takes the input '{input}', which a Gan has not", model.name());
                return wrong(keys, message);
            }
        }
        if generator.output() != discriminator.input() {
            let (made, taken) = (generator.output(), discriminator.input());
            let message =
                format!("the generator makes images of shape {made}, the discriminator takes {taken}");
            return wrong(&["discriminator", "input"], message);
        }
        let classes = self.conditional(&generator, &discriminator);
        let outputs = match (self.auxiliary != 0.0, classes) {
            (false, _) => 1,
            (true, Some(classes)) => 1 + classes,
            (true, None) => {
                let message = "an auxiliary classifier needs classes: give the generator a layer that is told them \
                               (label)";
                return wrong(&["auxiliary"], message.into());
            }
        };
        if discriminator.output() != Shape::from([outputs]) {
            let message = format!(
                "the discriminator must end in shape [{outputs}]{}, but its output has the shape {}",
                if outputs > 1 { " (a score, and a logit for each class)" } else { ", one score" },
                discriminator.output()
            );
            return wrong(&["discriminator", "layers"], message);
        }
        if let (Some(a), Some(b)) = (generator.classes(), discriminator.classes())
            && a != b
        {
            let message = format!("the generator has {a} classes, the discriminator {b}");
            return wrong(&["discriminator", "layers"], message);
        }
        if !(1..=MAX_PARTS).contains(&self.parts) {
            return wrong(&["parts"], format!("parts must lie in 1 to {MAX_PARTS}, got {}", self.parts));
        }
        let told = generator.classes().unwrap_or(0);
        if self.parts > 1 && (told == 0 || !told.is_multiple_of(self.parts)) {
            let message = format!(
                "{} parts have to be told: the generator's classes must be a multiple of them, but it has {told}",
                self.parts
            );
            return wrong(&["parts"], message);
        }
        if self.batch_size == 0 {
            return wrong(&["batch_size"], "batch_size must be at least 1, got 0".into());
        }
        let sample = generator.output().len().max(generator.input().len());
        if self.batch_size.saturating_mul(sample) > MAX_BATCH {
            let message = format!(
                "a batch of {} samples of {sample} numbers is too large: at most {MAX_BATCH} numbers",
                self.batch_size
            );
            return wrong(&["batch_size"], message);
        }
        if let Some(augment) = self.augment {
            augment.check(discriminator.input(), 2 * self.batch_size).map_err(at(&["augment"]))?;
        }
        Ok((generator, discriminator))
    }

    /// The number of classes that layers know, if any: those of the data times the parts of each.
    pub(crate) fn conditional(&self, generator: &Model, discriminator: &Model) -> Option<usize> {
        generator.classes().or(discriminator.classes())
    }

    /// The number of classes of the data, if any, where the layers count `told` of them: those times the parts of each.
    pub fn classes_among(&self, told: usize) -> Option<usize> {
        (self.parts == 1 || told > self.parts).then_some(told / self.parts)
    }

    pub(crate) fn generator_training(&self) -> Training<'_> {
        let (optimiser, clip_norm) = (&self.generator_optimiser, self.generator_clip_norm);
        Training { optimiser, clip_norm, clip_weights: None }
    }

    pub(crate) fn discriminator_training(&self) -> Training<'_> {
        let (optimiser, clip_norm) = (&self.discriminator_optimiser, self.discriminator_clip_norm);
        Training { optimiser, clip_norm, clip_weights: self.clip_weights }
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
    #[serde(default)]
    loss: Loss,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    real_target: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    penalties: Vec<Penalty>,
    #[serde(default, skip_serializing_if = "is_zero")]
    auxiliary: f64,
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    parts: usize,
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
            optimiser: *training.optimiser,
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

/// An error, and the keys under which its cause stands in a model file.
struct Fault {
    keys: &'static [&'static str],
    error: Error,
}

impl Fault {
    fn located(self, text: &str) -> Error {
        on_line(text, key_start(text, self.keys), &self.error.to_string())
    }
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
            loss: config.loss,
            real_target: config.real_target,
            penalties: config.penalties.clone(),
            auxiliary: config.auxiliary,
            parts: config.parts,
            augment: config.augment,
            discriminator_steps: config.discriminator_steps,
            separate_updates: config.separate_updates,
            schedule: config.schedule,
            steps: config.steps,
            ema: config.ema,
            seed: config.seed,
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
            generator_optimiser: form.generator.optimiser,
            discriminator_optimiser: form.discriminator.optimiser,
            generator: form.generator.named("generator"),
            discriminator: form.discriminator.named("discriminator"),
            loss: form.loss,
            real_target: form.real_target,
            penalties: form.penalties,
            auxiliary: form.auxiliary,
            parts: form.parts,
            augment: form.augment,
            discriminator_steps: form.discriminator_steps,
            separate_updates: form.separate_updates,
            generator_clip_norm: form.generator.clip_norm,
            discriminator_clip_norm: form.discriminator.clip_norm,
            clip_weights: form.discriminator.clip_weights,
            batch_size: form.batch_size,
            schedule: form.schedule,
            steps: form.steps,
            ema: form.ema,
            seed: form.seed,
        }
    }
}
