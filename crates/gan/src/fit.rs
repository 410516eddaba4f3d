//! Training over data.

use std::ops::ControlFlow;
use std::path::PathBuf;

use gannet_tensor::Backend;

use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::loss_queue::StepLosses;
use crate::micro_batches::{BatchRef, MicroBatches};
use crate::samples::Samples;

/// A batch of real images.
///
/// ```
/// use gannet::Batch;
///
/// let images = vec![0.5_f32; 2 * 4];
/// let batch = Batch::from(images).with("angle", vec![0.1, 0.2]);
/// assert_eq!(batch.inputs.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<E> {
    /// The images [batch_size, H, W, C] in [-1, 1], row-major.
    pub real: Vec<E>,
    /// The class of each `[batch_size]`, for a conditional model.
    pub labels: Option<Vec<u32>>,
    /// What layers take beside the images [batch_size, shape], by name.
    pub inputs: Vec<(String, Vec<E>)>,
}

impl<E> Batch<E> {
    /// Adds the numbers [batch_size, shape] of the further input `name`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, values: Vec<E>) -> Batch<E> {
        self.inputs.push((name.into(), values));
        self
    }
}

impl<E> From<Vec<E>> for Batch<E> {
    fn from(real: Vec<E>) -> Batch<E> {
        Batch { real, labels: None, inputs: Vec::new() }
    }
}

impl<E> From<(Vec<E>, Vec<u32>)> for Batch<E> {
    fn from((real, labels): (Vec<E>, Vec<u32>)) -> Batch<E> {
        Batch { real, labels: Some(labels), inputs: Vec::new() }
    }
}

/// Where batches come from. A function of the number of a batch, so that a run which was saved goes on with the batches
/// that it would have had: any closure `|number| Ok(batch)` is one.
pub trait Batches<E> {
    /// Batch `number` of the run, counted from 0: that of the step of this number, or, where a step is made of
    /// [micro-batches](crate::GanConfig::accumulate), one of those (and it may be asked for twice, as
    /// [`MicroBatches`] says). An error ends the training.
    fn batch(&mut self, number: u64) -> Result<Batch<E>>;
}

impl<E, F: FnMut(u64) -> Result<Batch<E>>> Batches<E> for F {
    fn batch(&mut self, number: u64) -> Result<Batch<E>> {
        self(number)
    }
}

/// Batches that a step asks for, and the last of them.
struct Asked<E, S> {
    batches: S,
    last: Option<Batch<E>>,
}

impl<E, S: Batches<E>> MicroBatches<E> for Asked<E, S> {
    type Error = Error;

    fn micro_batch(&mut self, number: u64) -> Result<BatchRef<'_, E>> {
        let Batch { real, labels, inputs } = self.last.insert(self.batches.batch(number)?);
        let images =
            inputs.iter().fold(Samples::new(real), |images, (name, values)| images.with(name, values));
        Ok((images, labels.as_deref()))
    }
}

/// What watches a training. Every method may be left out.
pub trait Callback<B: Backend> {
    /// Told the losses of every step, in order, as they arrive from the device: on a GPU up to
    /// [`LATE_LOSSES`](crate::LATE_LOSSES) steps after the step. [`ControlFlow::Break`] ends the training.
    fn losses(&mut self, _of: StepLosses) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }

    /// Whether [`reached`](Callback::reached) is to be called after step `step`, counted from 1: what a `Gan` is asked for
    /// there waits for the device, so it is done for these steps alone.
    fn is_due(&self, _step: u64) -> bool {
        false
    }

    /// Called after a step that [is due](Callback::is_due), with the model as it is then.
    fn reached(&mut self, _gan: &mut Gan<B>) -> Result<()> {
        Ok(())
    }
}

/// A closure is told the losses of every step.
impl<B: Backend, F: FnMut(StepLosses) -> ControlFlow<()>> Callback<B> for F {
    fn losses(&mut self, of: StepLosses) -> Result<ControlFlow<()>> {
        Ok(self(of))
    }
}

/// Saves the model ([`Gan::save`]) every so many steps, over the file before: the new one is there whole, or the old one
/// is.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    every: u64,
    path: PathBuf,
}

impl Checkpoint {
    /// Saves to `path` in every step whose number (from 1) `every` divides. Errors when that is 0.
    pub fn every(every: u64, path: impl Into<PathBuf>) -> Result<Checkpoint> {
        if every == 0 {
            return Err(Error::invalid("a checkpoint is saved every so many steps: at least 1, got 0"));
        }
        Ok(Checkpoint { every, path: path.into() })
    }
}

impl<B: Backend> Callback<B> for Checkpoint {
    fn is_due(&self, step: u64) -> bool {
        step.is_multiple_of(self.every)
    }

    fn reached(&mut self, gan: &mut Gan<B>) -> Result<()> {
        gan.save(&self.path)
    }
}

impl<B: Backend> Gan<B> {
    /// Trains until `steps` steps are done in all, those of a run before that was loaded included.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use gannet::layers::Dense;
    /// use gannet::{Batch, Checkpoint, Cpu, Gan, GanConfig, Sequential, StepLosses, Stream};
    ///
    /// let generator = Sequential::new("generator", [2]).add(Dense::new(2));
    /// let discriminator = Sequential::new("discriminator", [2]).add(Dense::new(1));
    /// let config = GanConfig::new(generator, discriminator).batch_size(16);
    /// let mut gan = Gan::new(&Cpu::new()?, config)?;
    ///
    /// // Points along a diagonal.
    /// let data = |step| {
    ///     let mut stream = Stream::new(1, "data", step);
    ///     let points = (0..16).flat_map(|_| [stream.normal() as f32; 2]);
    ///     Ok(Batch::from(points.collect::<Vec<_>>()))
    /// };
    /// let folder = std::env::temp_dir();
    /// let mut checkpoint = Checkpoint::every(50, folder.join("diagonal.safetensors"))?;
    /// let mut last = None;
    /// let mut watch = |of: StepLosses| {
    ///     last = Some(of.step);
    ///     ControlFlow::Continue(())
    /// };
    /// gan.fit(100, data, &mut [&mut watch, &mut checkpoint])?;
    /// assert_eq!(last, Some(100));
    /// # std::fs::remove_file(folder.join("diagonal.safetensors")).unwrap();
    /// # Ok::<(), gannet::Error>(())
    /// ```
    ///
    /// Errors when a batch does not fit, when a loss is no longer a finite number, or as a callback does.
    pub fn fit(
        &mut self,
        steps: u64,
        batches: impl Batches<B::Element>,
        callbacks: &mut [&mut dyn Callback<B>],
    ) -> Result<()> {
        let mut batches = Asked { batches, last: None };
        while self.step() < steps {
            self.train_step_by(&mut batches)?;
            let mut flow = ControlFlow::Continue(());
            while let Some(of) = self.next_losses()? {
                flow = tell(callbacks, of, flow)?;
            }
            if callbacks.iter().any(|callback| callback.is_due(self.step())) {
                // The losses up to here are told before.
                flow = self.tell_rest(callbacks, flow)?;
                let step = self.step();
                for callback in callbacks.iter_mut().filter(|callback| callback.is_due(step)) {
                    callback.reached(self)?;
                }
            }
            if flow.is_break() {
                break;
            }
        }
        self.tell_rest(callbacks, ControlFlow::Continue(())).map(drop)
    }

    /// Tells all losses that are under way.
    fn tell_rest(
        &mut self,
        callbacks: &mut [&mut dyn Callback<B>],
        mut flow: ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        while let Some(of) = self.awaited_losses()? {
            flow = tell(callbacks, of, flow)?;
        }
        Ok(flow)
    }
}

/// Tells every callback the losses of a step; ends the training if one of them says so, or `flow` has.
fn tell<B: Backend>(
    callbacks: &mut [&mut dyn Callback<B>],
    of: StepLosses,
    mut flow: ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    for callback in callbacks.iter_mut() {
        if callback.losses(of)?.is_break() {
            flow = ControlFlow::Break(());
        }
    }
    Ok(flow)
}
