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

    /// Reads a model file. Errors name the line, what is wrong there and what would fit.
    pub fn from_toml(text: &str) -> Result<GanConfig> {
        let form: Form =
            toml::from_str(text).map_err(|e| Error::Config(e.to_string().trim_end().to_owned()))?;
        let networks = [("generator", &form.generator), ("discriminator", &form.discriminator)];
        for (name, network) in networks {
            network.named(name).build().map_err(|e| network.located(e, text))?;
        }
        Ok(form.into())
    }

    /// This configuration as a model file. Errors when a layer is not one of this crate's.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(&Form::from(self)).map_err(|e| Error::Config(e.to_string()))
    }

    /// Builds both models. Errors when a number is impossible or anything does not fit together.
    pub fn build(&self) -> Result<(Model, Model)> {
        self.schedule.check()?;
        self.generator_optimiser.check().map_err(|e| e.context("generator, optimiser"))?;
        self.discriminator_optimiser.check().map_err(|e| e.context("discriminator, optimiser"))?;
        if let Some(ema) = self.ema {
            ema.check()?;
        }
        if !(0.0..=1.0).contains(&self.real_target) {
            return Err(Error::invalid(format!("real_target must lie in 0 to 1, got {}", self.real_target)));
        }
        if self.real_target != 1.0 && !self.loss.has_target() {
            return Err(Error::invalid(
                "real_target smooths the labels of real images, but this loss has no labels",
            ));
        }
        for penalty in &self.penalties {
            penalty.check()?;
        }
        let positive = |name: &str, x: Option<f64>| match x {
            Some(x) if !(x.is_finite() && x > 0.0) => {
                Err(Error::invalid(format!("{name} must be a positive number, got {x}")))
            }
            _ => Ok(()),
        };
        positive("generator, clip_norm", self.generator_clip_norm)?;
        positive("discriminator, clip_norm", self.discriminator_clip_norm)?;
        positive("discriminator, clip_weights", self.clip_weights)?;
        if !(self.auxiliary.is_finite() && self.auxiliary >= 0.0) {
            return Err(Error::invalid(format!(
                "auxiliary must be a number of at least 0, got {}",
                self.auxiliary
            )));
        }
        if self.discriminator_steps == 0 {
            return Err(Error::invalid("discriminator_steps must be at least 1, got 0"));
        }
        if self.separate_updates && (self.loss.is_relativistic() || !self.penalties.is_empty()) {
            return Err(Error::invalid(
                "separate_updates does not go with a relativistic loss or penalties: they need both kinds of images",
            ));
        }
        if self.schedule.needs_length() && self.steps.is_none_or(|steps| steps == 0) {
            return Err(Error::invalid(
                "a learning rate that decays has to know the length of the run: set steps",
            ));
        }
        let (generator, discriminator) = (self.generator.build()?, self.discriminator.build()?);
        if generator.output() != discriminator.input() {
            return Err(Error::invalid(format!(
                "the generator makes images of shape {}, the discriminator takes {}",
                generator.output(),
                discriminator.input()
            )));
        }
        let classes = self.conditional(&generator, &discriminator);
        let outputs = match (self.auxiliary != 0.0, classes) {
            (false, _) => 1,
            (true, Some(classes)) => 1 + classes,
            (true, None) => {
                return Err(Error::invalid(
                    "an auxiliary classifier needs classes: give the generator a layer that is told them (label)",
                ));
            }
        };
        if discriminator.output() != Shape::from([outputs]) {
            return Err(Error::invalid(format!(
                "the discriminator must end in shape [{outputs}]{}, but its output has the shape {}",
                if outputs > 1 { " (a score, and a logit for each class)" } else { ", one score" },
                discriminator.output()
            )));
        }
        if let (Some(a), Some(b)) = (generator.classes(), discriminator.classes())
            && a != b
        {
            return Err(Error::invalid(format!("the generator has {a} classes, the discriminator {b}")));
        }
        if self.batch_size == 0 {
            return Err(Error::invalid("batch_size must be at least 1, got 0"));
        }
        let sample = generator.output().len().max(generator.input().len());
        if self.batch_size.saturating_mul(sample) > MAX_BATCH {
            return Err(Error::invalid(format!(
                "a batch of {} samples of {sample} numbers is too large: at most {MAX_BATCH} numbers",
                self.batch_size
            )));
        }
        if let Some(augment) = self.augment {
            augment.check(discriminator.input(), 2 * self.batch_size)?;
        }
        Ok((generator, discriminator))
    }

    /// The number of classes, if the models are told them.
    pub(crate) fn conditional(&self, generator: &Model, discriminator: &Model) -> Option<usize> {
        generator.classes().or(discriminator.classes())
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
            layers: model.layers.iter().cloned().map(|layer| Spanned::new(0..0, Entry(layer))).collect(),
        }
    }

    fn named(&self, name: &str) -> Sequential {
        Sequential {
            name: name.into(),
            input: self.input.clone(),
            layers: self.layers.iter().map(|entry| entry.get_ref().0.clone()).collect(),
            initialiser: self.initialiser,
        }
    }
}

impl Network {
    /// An error about one of the layers, with its line in the file.
    fn located(&self, error: Error, text: &str) -> Error {
        let Error::Layer { index, .. } = &error else { return Error::Config(error.to_string()) };
        let start = self.layers.get(*index).map_or(0, |layer| layer.span().start);
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let source = text.lines().nth(line - 1).unwrap_or_default();
        Error::Config(format!("line {line}: {error}\n  |{source}"))
    }
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
