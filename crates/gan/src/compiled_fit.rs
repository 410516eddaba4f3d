//! Training of single models over data: Keras' `fit`.

use std::ops::ControlFlow;

use gannet_tensor::Backend;

use crate::compiled::{Compiled, Evaluation, Sums};
use crate::error::{Error, Result};
use crate::random::Stream;
use crate::samples::{Checked, Samples};

/// How a model is trained over data.
#[derive(Clone, Debug)]
pub struct Fit<'a, E> {
    epochs: usize,
    batch_size: usize,
    seed: Option<u64>,
    first_epoch: usize,
    validation: Option<(Samples<'a, E>, &'a [E])>,
}

impl<'a, E> Fit<'a, E> {
    /// Each sample `epochs` times, in batches of 32 that are shuffled by seed 42.
    pub fn new(epochs: usize) -> Fit<'a, E> {
        Fit { epochs, batch_size: 32, seed: Some(42), first_epoch: 0, validation: None }
    }

    /// Samples in a batch; the last of an epoch takes what is left.
    #[must_use]
    pub fn batch_size(mut self, batch_size: usize) -> Fit<'a, E> {
        self.batch_size = batch_size;
        self
    }

    /// What the order of the samples follows from; it is another in each epoch.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Fit<'a, E> {
        self.seed = Some(seed);
        self
    }

    /// Takes the samples in the order in which they are given, in every epoch.
    #[must_use]
    pub fn in_order(mut self) -> Fit<'a, E> {
        self.seed = None;
        self
    }

    /// The epochs that were done before: of a model that was loaded, so that it meets the batches that it would have met.
    #[must_use]
    pub fn first_epoch(mut self, first_epoch: usize) -> Fit<'a, E> {
        self.first_epoch = first_epoch;
        self
    }

    /// Samples that are evaluated after each epoch, with their targets.
    #[must_use]
    pub fn validation(mut self, x: impl Into<Samples<'a, E>>, targets: &'a [E]) -> Fit<'a, E> {
        self.validation = Some((x.into(), targets));
        self
    }

    /// How many updates all epochs make over `samples` samples: what
    /// [`set_schedule`](Compiled::set_schedule) has to know.
    pub fn updates(&self, samples: usize) -> u64 {
        (self.epochs * samples.div_ceil(self.batch_size.max(1))) as u64
    }
}

/// An epoch of [`fit`](Compiled::fit).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: usize,
    /// The mean over its batches, each before its update.
    pub training: Evaluation,
    /// What the model does on the samples for validation after it.
    pub validation: Option<Evaluation>,
}

/// A batch of [`fit`](Compiled::fit).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchEnd {
    /// The number of its epoch, from 1.
    pub epoch: usize,
    /// Its number within the epoch, from 1.
    pub batch: usize,
    /// The batches of an epoch.
    pub batches: usize,
    /// Its mean loss before its update.
    pub loss: f64,
}

/// What watches [`fit`](Compiled::fit). Every method may be left out; a closure
/// `|model: &mut Compiled<B>, epoch: &Epoch| { .. }` is told each epoch.
pub trait FitCallback<B: Backend> {
    /// Called after each batch. [`ControlFlow::Break`] ends the training.
    fn batch(&mut self, _model: &mut Compiled<B>, _batch: &BatchEnd) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }

    /// Called after each epoch. [`ControlFlow::Break`] ends the training.
    fn epoch(&mut self, _model: &mut Compiled<B>, _epoch: &Epoch) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }
}

impl<B: Backend, F: FnMut(&mut Compiled<B>, &Epoch) -> Result<ControlFlow<()>>> FitCallback<B> for F {
    fn epoch(&mut self, model: &mut Compiled<B>, epoch: &Epoch) -> Result<ControlFlow<()>> {
        self(model, epoch)
    }
}

/// Ends a training whose loss has not fallen for some epochs: that on the samples for validation, or the training's own
/// where there are none.
#[derive(Clone, Copy, Debug)]
pub struct EarlyStopping {
    patience: usize,
    best: f64,
    since: usize,
}

impl EarlyStopping {
    /// Ends it after `patience` epochs, at least one, without a loss lower than all before.
    pub fn new(patience: usize) -> EarlyStopping {
        EarlyStopping { patience: patience.max(1), best: f64::INFINITY, since: 0 }
    }

    /// The lowest loss so far.
    pub fn best(&self) -> f64 {
        self.best
    }
}

impl<B: Backend> FitCallback<B> for EarlyStopping {
    fn epoch(&mut self, _model: &mut Compiled<B>, epoch: &Epoch) -> Result<ControlFlow<()>> {
        let loss = epoch.validation.unwrap_or(epoch.training).loss;
        if loss < self.best {
            (self.best, self.since) = (loss, 0);
        } else {
            self.since += 1;
        }
        Ok(if self.since < self.patience { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }
}

impl<B: Backend> Compiled<B> {
    /// Trains on samples `x` [n, input] with their targets [n, output] (or `[n]` for classes), and gives what became of
    /// each epoch. The same data, options and weights give the same bits.
    ///
    /// Errors when the data do not fit, when a number in the options is 0, when a callback errs, or when the loss is no
    /// longer a finite number.
    ///
    /// ```
    /// use gannet::layers::Dense;
    /// use gannet::{Activation, Adam, Compiled, EarlyStopping, Epoch, Fit, Objective, Reference, Sequential};
    /// use std::ops::ControlFlow;
    ///
    /// let (points, classes) = ([0.0, 0.1, 0.9, 1.0, 0.2, 0.1, 1.0, 0.8], [0.0, 1.0, 0.0, 1.0]);
    /// let mut model = Sequential::new("classifier", [2])
    ///     .add(Dense::new(8).activation(Activation::Tanh))
    ///     .add(Dense::new(2))
    ///     .compile(&Reference::<f32>::new(), Objective::SparseCategoricalCrossentropy, Adam::new(0.05))?;
    /// let mut print = |_: &mut Compiled<Reference<f32>>, epoch: &Epoch| {
    ///     println!("{}: {:?}", epoch.epoch, epoch.training);
    ///     Ok(ControlFlow::Continue(()))
    /// };
    /// let history = model.fit(
    ///     &points,
    ///     &classes,
    ///     &Fit::new(40).batch_size(2),
    ///     &mut [&mut print, &mut EarlyStopping::new(5)],
    /// )?;
    /// assert!(history.last().unwrap().training.loss < history[0].training.loss);
    /// # Ok::<(), gannet::Error>(())
    /// ```
    pub fn fit<'a>(
        &mut self,
        x: impl Into<Samples<'a, B::Element>>,
        targets: &[B::Element],
        options: &Fit<'_, B::Element>,
        callbacks: &mut [&mut dyn FitCallback<B>],
    ) -> Result<Vec<Epoch>>
    where
        B::Element: 'a,
    {
        let x = x.into().check(&self.model)?;
        let output = self.model.output();
        let here = |e: Error| e.context(self.model.name());
        self.objective.check_targets(targets, x.n, output).map_err(here)?;
        if options.epochs == 0 || options.batch_size == 0 {
            return Err(here(Error::invalid("fit takes at least 1 epoch and 1 sample in a batch, got 0")));
        }
        if let Some((x, targets)) = &options.validation {
            let n = x.check(&self.model)?.n;
            let wrong = |e: Error| here(e.context("validation"));
            self.objective.check_targets(targets, n, output).map_err(wrong)?;
        }
        let watched = self.objective.correct::<B::Element>(&[], &[], output).is_some();
        let target = targets.len() / x.n;
        let batches = x.n.div_ceil(options.batch_size);
        let mut history = Vec::new();
        for epoch in options.first_epoch..options.first_epoch + options.epochs {
            let order: Vec<usize> = match options.seed {
                Some(seed) => Stream::new(seed, "fit", epoch as u64).permutation(x.n),
                None => (0..x.n).collect(),
            };
            let mut sums = Sums::default();
            for (batch, indices) in order.chunks(options.batch_size).enumerate() {
                let inputs: Vec<Vec<B::Element>> =
                    x.inputs.iter().map(|(len, values)| gather(values, *len, indices)).collect();
                let lengths = x.inputs.iter().map(|(len, _)| *len);
                let inputs = lengths.zip(inputs.iter().map(Vec::as_slice)).collect();
                let targets = gather(targets, target, indices);
                let (loss, y) = self.update(&Checked { n: indices.len(), inputs }, &targets, watched)?;
                if !loss.is_finite() {
                    return Err(Error::Diverged(format!(
                        "{}: in epoch {}, batch {} of {batches}, the loss is {loss}; a smaller learning rate may help",
                        self.model.name(),
                        epoch + 1,
                        batch + 1
                    )));
                }
                sums.add(indices.len(), loss, self.objective.correct(&y, &targets, output));
                let end = BatchEnd { epoch: epoch + 1, batch: batch + 1, batches, loss };
                let mut ended = false;
                for callback in &mut *callbacks {
                    ended |= callback.batch(self, &end)?.is_break();
                }
                if ended {
                    return Ok(history);
                }
            }
            let validation = match &options.validation {
                Some((x, targets)) => Some(self.evaluate(x.clone(), targets)?),
                None => None,
            };
            let done = Epoch { epoch: epoch + 1, training: sums.mean(), validation };
            history.push(done);
            let mut ended = false;
            for callback in &mut *callbacks {
                ended |= callback.epoch(self, &done)?.is_break();
            }
            if ended {
                break;
            }
        }
        Ok(history)
    }
}

/// The samples of these indices, `len` numbers each.
fn gather<E: Copy>(values: &[E], len: usize, indices: &[usize]) -> Vec<E> {
    indices.iter().flat_map(|i| &values[i * len..(i + 1) * len]).copied().collect()
}
