//! The kinds of training steps, and the passes that a step is made of.

use crate::config::GanConfig;

/// What a training step does, of all that the configuration asks for: each kind is a program of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepKind {
    /// Whether each of the configuration's penalties is computed.
    pub(crate) penalties: Vec<bool>,
    /// Whether the generator is updated.
    pub(crate) generator: bool,
}

impl StepKind {
    /// The kind of step `step`, counted from 0.
    pub(crate) fn of(config: &GanConfig, step: u64) -> StepKind {
        StepKind {
            penalties: config.penalties.iter().map(|penalty| penalty.applies(step)).collect(),
            generator: step.is_multiple_of(config.discriminator_steps),
        }
    }

    /// Its phases, in order.
    pub(crate) fn phases(&self, config: &GanConfig) -> Vec<Phase> {
        let mut phases = match config.separate_updates {
            true => vec![Phase::Apart(Origin::Real), Phase::Apart(Origin::Generated)],
            false => vec![Phase::Both],
        };
        phases.extend(self.generator.then_some(Phase::Generator));
        phases
    }
}

/// A part of a training step that ends in an update of one model. Where a step is made of micro-batches, a phase goes over
/// all of them before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The discriminator's, against real and generated images.
    Both,
    /// The discriminator's, against images of one origin.
    Apart(Origin),
    /// The generator's.
    Generator,
}

impl Phase {
    /// Every phase that steps of this configuration have, in order.
    pub(crate) fn all(config: &GanConfig) -> Vec<Phase> {
        StepKind::of(config, 0).phases(config)
    }

    /// Its name in those of variables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Both => "both",
            Phase::Apart(Origin::Real) => "real",
            Phase::Apart(Origin::Generated) => "generated",
            Phase::Generator => "generator",
        }
    }

    /// How many losses it tells.
    pub(crate) fn losses(self) -> usize {
        match self {
            Phase::Both => 2,
            Phase::Apart(_) | Phase::Generator => 1,
        }
    }

    /// How many images the discriminator scores in each micro-batch for [`Gauges`](crate::Gauges).
    pub(crate) fn scored(self, config: &GanConfig) -> usize {
        match self {
            Phase::Both => 2 * config.batch_size,
            Phase::Apart(_) => config.batch_size,
            Phase::Generator => 0,
        }
    }

    /// Its augmentation, where there is one.
    pub(crate) fn augmentation(self) -> Augmentation {
        match self {
            Phase::Both | Phase::Apart(_) => Augmentation::Discriminator,
            Phase::Generator => Augmentation::Generator,
        }
    }

    /// Whether it reads real images.
    pub(crate) fn reads_real(self, config: &GanConfig) -> bool {
        match self {
            Phase::Both | Phase::Apart(Origin::Real) => true,
            // Their augmentations are those of one batch with the real images.
            Phase::Apart(Origin::Generated) => config.augment.is_some(),
            Phase::Generator => config.loss.is_relativistic(),
        }
    }
}

/// Where the images of a batch come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Real,
    Generated,
}

/// A pass of a training step through one of the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepPass {
    /// The generator's.
    Generator,
    /// The discriminator's, over real and generated images in one batch, for its update.
    Both,
    /// The discriminator's, over images of one origin, for an update on those alone.
    Apart(Origin),
    /// The discriminator's for the generator's loss.
    Judging,
    /// The discriminator's between real and generated images, for a penalty.
    PenaltyBetween,
    /// The discriminator's over images of one origin, for a penalty.
    PenaltyAt(Origin),
}

impl StepPass {
    /// What the noise of layers (dropout) is seeded with in this pass: numbers that saved runs go on with.
    pub(crate) fn noise(self) -> u32 {
        match self {
            StepPass::Generator => 0,
            // A step has one of the two.
            StepPass::Both | StepPass::Apart(Origin::Real) => 1,
            StepPass::Judging => 2,
            StepPass::PenaltyBetween => 3,
            StepPass::PenaltyAt(Origin::Real) => 4,
            StepPass::PenaltyAt(Origin::Generated) => 5,
            StepPass::Apart(Origin::Generated) => 6,
        }
    }
}

/// An augmentation in a training step, with random numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Augmentation {
    /// Of real and generated images, for the discriminator's update.
    Discriminator,
    /// Of the images that the generator's loss is of.
    Generator,
}

impl Augmentation {
    /// Those of a kind of step.
    pub(crate) fn of(kind: &StepKind) -> impl Iterator<Item = Augmentation> {
        let generator = kind.generator.then_some(Augmentation::Generator);
        std::iter::once(Augmentation::Discriminator).chain(generator)
    }

    /// The name of its inputs, and of the stream of its numbers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Augmentation::Discriminator => "discriminator",
            Augmentation::Generator => "generator",
        }
    }

    /// The number of images that it is of.
    pub(crate) fn images(self, config: &GanConfig) -> usize {
        match self {
            Augmentation::Generator if !config.loss.is_relativistic() => config.batch_size,
            Augmentation::Discriminator | Augmentation::Generator => 2 * config.batch_size,
        }
    }
}
