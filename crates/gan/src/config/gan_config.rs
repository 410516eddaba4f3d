//! What a GAN is made of.

use gannet_tensor::Shape;

use crate::augment::Augment;
use crate::ema::Ema;
use crate::error::Result;
use crate::losses::Loss;
use crate::model::{Model, inputs_of};
use crate::optimisers::Optimiser;
use crate::penalties::Penalty;
use crate::schedule::Schedule;
use crate::sequential::Sequential;
use crate::update::Training;

/// Everything that makes a GAN. Made from two models with [`new`](GanConfig::new), from a model file with
/// [`from_toml`](GanConfig::from_toml), or from a [preset](crate::presets).
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    /// How many clusters of equal size each class is cut into, or the whole data set for a model without classes; 1 for
    /// none. The models then count `classes * clusters` classes, train on the labels that
    /// [`partition`](crate::partition) gives, and draw clusters by themselves when they make images. `parts` in model
    /// files.
    pub clusters: usize,
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
    /// How many micro-batches of `batch_size` images a step is made of: as large a batch as `accumulate * batch_size` in the
    /// memory of one micro-batch, and one more number for each parameter.
    ///
    /// Let a step have A micro-batches of n images. Each has n real images and n latents, augmentations and whatever else is
    /// drawn by chance, of its own: those of batch `step * A + a` of a run whose steps have one. The discriminator comes
    /// first. Its loss on each micro-batch, penalties included, is divided by A, and the gradients are added in the order of
    /// the micro-batches, all at the same weights; then it is updated once, by the sum. With
    /// [`separate_updates`](GanConfig::separate_updates) that happens for the real images, and then for the generated ones.
    /// The generator's gradients are added in the same way, on the same latents and against the discriminator after its
    /// update, and end in one update, after which the average moves. A gradient is clipped, and weights are cut, where the
    /// optimiser takes the sum. Losses are means over the micro-batches; penalties that are computed now and then, schedules
    /// and all that goes by steps count steps.
    ///
    /// So without layers that look at more than one sample, a step is one of a single batch of A n images. Those that do
    /// (batch normalisation, minibatch standard deviation) see one micro-batch at a time. What layers keep from step to step
    /// (running statistics, the vectors of power iterations) each micro-batch moves from where it was before the step's update
    /// of that model; it is then moved by the mean of these moves, added in order: running statistics move as if the batch's
    /// statistics were the mean of those of the micro-batches.
    ///
    /// 1 is a step on a single batch, as one program.
    pub accumulate: u64,
    /// How the learning rates change over the run.
    pub schedule: Schedule,
    /// The length of the run in steps, which any schedule but the constant one has to know.
    pub steps: Option<u64>,
    /// The average of the generator that images are drawn from; without it, the generator itself.
    pub ema: Option<Ema>,
    /// What all randomness starts from.
    pub seed: u64,
    /// What the classes of the data are called, in their order; empty where they have numbers only.
    pub class_names: Vec<String>,
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
            clusters: 1,
            augment: None,
            discriminator_steps: 1,
            separate_updates: false,
            generator_clip_norm: None,
            discriminator_clip_norm: None,
            clip_weights: None,
            batch_size: 32,
            accumulate: 1,
            schedule: Schedule::Constant,
            steps: None,
            ema: None,
            seed: 42,
            class_names: Vec::new(),
        }
    }

    /// The name of the recipe.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> GanConfig {
        self.name = name.into();
        self
    }

    /// What the recipe is, in a line.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> GanConfig {
        self.description = description.into();
        self
    }

    /// From latents `[z]` to images [H, W, C].
    #[must_use]
    pub fn generator(mut self, generator: Sequential) -> GanConfig {
        self.generator = generator;
        self
    }

    /// From images [H, W, C] to one number: how real an image looks.
    #[must_use]
    pub fn discriminator(mut self, discriminator: Sequential) -> GanConfig {
        self.discriminator = discriminator;
        self
    }

    /// The same optimiser for both models.
    #[must_use]
    pub fn optimiser(mut self, optimiser: impl Into<Optimiser>) -> GanConfig {
        self.generator_optimiser = optimiser.into();
        self.discriminator_optimiser = self.generator_optimiser.clone();
        self
    }

    /// How the generator follows its gradient.
    #[must_use]
    pub fn generator_optimiser(mut self, optimiser: impl Into<Optimiser>) -> GanConfig {
        self.generator_optimiser = optimiser.into();
        self
    }

    /// How the discriminator follows its gradient.
    #[must_use]
    pub fn discriminator_optimiser(mut self, optimiser: impl Into<Optimiser>) -> GanConfig {
        self.discriminator_optimiser = optimiser.into();
        self
    }

    /// What both models minimise.
    #[must_use]
    pub fn loss(mut self, loss: impl Into<Loss>) -> GanConfig {
        self.loss = loss.into();
        self
    }

    /// The target for real images: 1, or less for one-sided label smoothing.
    #[must_use]
    pub fn real_target(mut self, target: f64) -> GanConfig {
        self.real_target = target;
        self
    }

    /// Adds a penalty on the discriminator's gradient.
    #[must_use]
    pub fn penalty(mut self, penalty: Penalty) -> GanConfig {
        self.penalties.push(penalty);
        self
    }

    /// The weight of an auxiliary classifier; 0 for none.
    #[must_use]
    pub fn auxiliary(mut self, weight: f64) -> GanConfig {
        self.auxiliary = weight;
        self
    }

    /// How many clusters each class is cut into, or the whole data set for a model without classes.
    #[must_use]
    pub fn clusters(mut self, clusters: usize) -> GanConfig {
        self.clusters = clusters;
        self
    }

    /// What is done to images before the discriminator sees them.
    #[must_use]
    pub fn augment(mut self, augment: impl Into<Option<Augment>>) -> GanConfig {
        self.augment = augment.into();
        self
    }

    /// Updates of the discriminator for each of the generator.
    #[must_use]
    pub fn discriminator_steps(mut self, steps: u64) -> GanConfig {
        self.discriminator_steps = steps;
        self
    }

    /// Whether the discriminator is updated on real and on generated images one after the other.
    #[must_use]
    pub fn separate_updates(mut self, separate: bool) -> GanConfig {
        self.separate_updates = separate;
        self
    }

    /// The longest gradient of the generator.
    #[must_use]
    pub fn generator_clip_norm(mut self, limit: impl Into<Option<f64>>) -> GanConfig {
        self.generator_clip_norm = limit.into();
        self
    }

    /// The longest gradient of the discriminator.
    #[must_use]
    pub fn discriminator_clip_norm(mut self, limit: impl Into<Option<f64>>) -> GanConfig {
        self.discriminator_clip_norm = limit.into();
        self
    }

    /// The largest absolute value of the discriminator's weights.
    #[must_use]
    pub fn clip_weights(mut self, limit: impl Into<Option<f64>>) -> GanConfig {
        self.clip_weights = limit.into();
        self
    }

    /// Images in a batch.
    #[must_use]
    pub fn batch_size(mut self, batch_size: usize) -> GanConfig {
        self.batch_size = batch_size;
        self
    }

    /// How many micro-batches of [`batch_size`](GanConfig::batch_size) images a step is made of; see
    /// [the field](GanConfig#structfield.accumulate).
    #[must_use]
    pub fn accumulate(mut self, micro_batches: u64) -> GanConfig {
        self.accumulate = micro_batches;
        self
    }

    /// How the learning rates change over a run of `steps` steps.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule, steps: u64) -> GanConfig {
        self.schedule = schedule;
        self.steps = Some(steps);
        self
    }

    /// The length of the run in steps.
    #[must_use]
    pub fn steps(mut self, steps: impl Into<Option<u64>>) -> GanConfig {
        self.steps = steps.into();
        self
    }

    /// The average of the generator that images are drawn from.
    #[must_use]
    pub fn ema(mut self, ema: impl Into<Option<Ema>>) -> GanConfig {
        self.ema = ema.into();
        self
    }

    /// What all randomness starts from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> GanConfig {
        self.seed = seed;
        self
    }

    /// What the classes of the data are called, in their order.
    #[must_use]
    pub fn class_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> GanConfig {
        self.class_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// What layers of either model take beside latents and images, by name, with the shape of a sample. Errors when
    /// a model cannot be built.
    pub fn inputs(&self) -> Result<Vec<(String, Shape)>> {
        Ok(inputs_of(&self.generator.build()?, &self.discriminator.build()?))
    }

    /// Images in a step: those of all its micro-batches.
    pub fn images_per_step(&self) -> u64 {
        self.accumulate * self.batch_size as u64
    }

    /// The number of classes that layers know, if any: those of the data times the clusters of each.
    pub(crate) fn conditional(&self, generator: &Model, discriminator: &Model) -> Option<usize> {
        generator.classes().or(discriminator.classes())
    }

    /// The number of classes of the data, if any, where the layers count `told` of them: those times the clusters of
    /// each.
    pub fn classes_among(&self, told: usize) -> Option<usize> {
        (self.clusters == 1 || told > self.clusters).then_some(told / self.clusters)
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
