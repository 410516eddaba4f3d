//! Batches on their way to a training step.

use gannet::{Backend, BatchRef, Gan, MicroBatches};
use gannet_data::Batches;

use crate::error::Error;

/// The batches that the next steps of a GAN ask for, from where the set is now: a micro-batch that is asked for a second time
/// is read again, so that none has to be kept.
#[derive(Debug)]
pub struct Feed<'a> {
    batches: &'a mut Batches,
    /// Whether the model is told classes.
    conditional: bool,
    size: u64,
    /// The number of the next batch, and how many images come before it.
    first: u64,
    before: u64,
    /// The images of a step.
    step: u64,
}

impl<'a> Feed<'a> {
    /// For `gan`, whose next step begins with the next of these batches.
    pub fn new<B: Backend>(gan: &Gan<B>, batches: &'a mut Batches) -> Self {
        let config = gan.config();
        Feed {
            conditional: gan.training_labels().is_some(),
            size: config.batch_size as u64,
            first: gan.step() * config.accumulate,
            before: batches.position(),
            step: config.images_per_step(),
            batches,
        }
    }

    /// The step is done: whoever took which of its batches, the next begins after all of them.
    pub fn end(self) {
        self.batches.seek(self.before + self.step);
    }
}

/// What keeps a step from being taken.
#[derive(Debug)]
pub enum StepError {
    /// An image cannot be read.
    Data(gannet_data::Error),
    /// The engine refuses, or a loss is no longer finite.
    Training(gannet::Error),
}

impl From<gannet::Error> for StepError {
    fn from(error: gannet::Error) -> Self {
        StepError::Training(error)
    }
}

impl From<StepError> for Error {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Data(error) => error.into(),
            StepError::Training(error) => error.into(),
        }
    }
}

impl MicroBatches<f32> for Feed<'_> {
    type Error = StepError;

    fn micro_batch(&mut self, number: u64) -> Result<BatchRef<'_, f32>, StepError> {
        self.batches.seek(self.before + (number - self.first) * self.size);
        let (images, labels) = self.batches.next_batch().map_err(StepError::Data)?;
        Ok((images.into(), self.conditional.then_some(labels)))
    }
}

/// The same batch for every step and micro-batch: what a step takes does not depend on what it sees.
#[derive(Debug)]
pub struct Same<'a> {
    /// The images.
    pub images: &'a [f32],
    /// The classes that the model is told.
    pub labels: Option<&'a [u32]>,
}

impl MicroBatches<f32> for Same<'_> {
    type Error = gannet::Error;

    fn micro_batch(&mut self, _: u64) -> gannet::Result<BatchRef<'_, f32>> {
        Ok((self.images.into(), self.labels))
    }
}
