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
