//! Where the micro-batches of a step come from.

use crate::error::{Error, Result};
use crate::samples::{Samples, part};

/// A batch of real images [batch_size, H, W, C] in [-1, 1] (row-major), with what layers take beside them, and, for a
/// conditional model, the class of each `[batch_size]`.
pub type BatchRef<'a, E> = (Samples<'a, E>, Option<&'a [u32]>);

/// Where the micro-batches of training come from, one at a time: what [`Gan::train_step_by`](crate::Gan::train_step_by) and
/// [`Gan::train_step_among`](crate::Gan::train_step_among) ask.
pub trait MicroBatches<E> {
    /// What may go wrong.
    type Error: From<Error>;

    /// Micro-batch `number` of the run, counted from 0: step `s` (from 0) is made of those from `s * accumulate` on, as many as
    /// [`accumulate`](crate::GanConfig::accumulate) says. They are asked for in order, by a rank among others only those that are its own; a loss that compares generated with
    /// real images in the generator's update too (a relativistic one), and augmentation with separate updates, ask for those
    /// of the step once more from the first. An error ends the step.
    fn micro_batch(&mut self, number: u64) -> Result<BatchRef<'_, E>, Self::Error>;
}

/// The micro-batches of one step, one after the other in memory.
pub(crate) struct Slices<'a, E> {
    pub(crate) real: Samples<'a, E>,
    pub(crate) labels: Option<&'a [u32]>,
    /// How many there are, and the number of the first.
    pub(crate) count: usize,
    pub(crate) first: u64,
}

impl<E> MicroBatches<E> for Slices<'_, E> {
    type Error = Error;

    fn micro_batch(&mut self, number: u64) -> Result<BatchRef<'_, E>> {
        let at = (number - self.first) as usize;
        Ok((self.real.part(at, self.count), self.labels.map(|labels| part(labels, at, self.count))))
    }
}
