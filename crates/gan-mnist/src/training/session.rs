//! The training loop.

use std::time::{Duration, Instant};

use gannet::{Backend, Gan, Losses};

use super::{End, Next, Observer, Outcome, Sampler, Samples, Step};
use crate::data::Batches;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::run_directory::{Config, RunDirectory};

/// A run in training: a GAN, its batches, its directory, and what looks on.
pub struct Session<'a, B: Backend> {
    run: &'a RunDirectory,
    settings: Config,
    gan: Gan<B>,
    batches: Batches,
    sampler: Sampler,
    observers: Vec<Box<dyn Observer>>,
    progress: Progress,
    /// When this part of the run began.
    began: Instant,
}

impl<B: Backend> std::fmt::Debug for Session<'_, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session of {:?} in {}", self.gan, self.run.path().display())
    }
}

impl<'a, B: Backend<Element = f32>> Session<'a, B> {
    /// A session that begins a run: the settings are in its directory, and nothing else is.
    pub fn begin(
        run: &'a RunDirectory,
        settings: Config,
        gan: Gan<B>,
        batches: Batches,
        observers: Vec<Box<dyn Observer>>,
        quiet: bool,
    ) -> Result<Self> {
        let sampler = Sampler::new(&gan, settings.seed)?;
        let progress = Progress::new(settings.steps, settings.sample_every, quiet);
        let began = Instant::now();
        let mut session = Session { run, settings, gan, batches, sampler, observers, progress, began };
        for log in session.observers.iter_mut().flat_map(|observer| observer.logs()) {
            log.create()?;
        }
        Ok(session)
    }

    /// Trains to the end. Errors are the run's: what could be saved has been.
    pub fn run(mut self) -> Result<End> {
        let result = self.train();
        self.progress.finish();
        let flushed = self.flush();
        let outcome = match &result {
            Ok(outcome) => outcome.clone(),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        let (step, steps) = (self.gan.step(), self.settings.steps);
        let end = End { step, steps, outcome, elapsed: self.elapsed() };
        for observer in &mut self.observers {
            observer.ended(&end)?;
        }
        result.and(flushed).map(|()| end)
    }

    fn train(&mut self) -> Result<Outcome> {
        let steps = self.settings.steps;
        while self.gan.step() < steps {
            let began = Instant::now();
            let losses = self.step()?;
            self.progress.stepped(began.elapsed(), losses);
            let step = self.gan.step();
            let last = step == steps;
            let mut next = self.tell(losses)?;
            if last || step.is_multiple_of(self.settings.sample_every) {
                next = first(next, self.sample(last)?);
            }
            next = first(next, self.examine(last)?);
            match next {
                Next::GoOn => {}
                Next::Stop(reason) => return Ok(Outcome::Stopped(reason)),
                Next::RollBack { reason, .. } => return Err(Error::failure(reason)),
            }
        }
        Ok(Outcome::Finished)
    }

    /// One step of the GAN.
    fn step(&mut self) -> Result<Losses> {
        let conditional = self.gan.classes().is_some();
        let (images, labels) = self.batches.next_batch()?;
        Ok(self.gan.train_on_batch(images, conditional.then_some(labels))?)
    }

    /// Tells the losses of the last step.
    fn tell(&mut self, losses: Losses) -> Result<Next> {
        let number = self.gan.step();
        let images = number * self.settings.batch_size as u64;
        let step = Step { number, images, losses, elapsed: self.elapsed() };
        let mut next = Next::GoOn;
        for observer in &mut self.observers {
            next = first(next, observer.stepped(&step)?);
        }
        Ok(next)
    }

    /// Draws a grid, and saves the model that drew it.
    fn sample(&mut self, last: bool) -> Result<Next> {
        let began = Instant::now();
        let elapsed = self.elapsed();
        self.flush()?;
        let (images, grid) = self.sampler.draw(&mut self.gan)?;
        let Sampler { latents, labels, shape, .. } = &self.sampler;
        let samples = Samples {
            step: self.gan.step(),
            last,
            latents,
            labels: labels.as_deref(),
            images: &images,
            shape: *shape,
            grid: &grid,
            elapsed,
        };
        let mut next = Next::GoOn;
        for observer in &mut self.observers {
            next = first(next, observer.sampled(&samples)?);
        }
        // Whoever stops a run here keeps what it has learnt.
        let saved = self.gan.save(self.run.model());
        saved.map_err(|e| Error::failure(format!("cannot save the model: {e}")))?;
        self.progress.sampled(began.elapsed());
        Ok(next)
    }

    /// Lets those look at the model whose time it is.
    fn examine(&mut self, last: bool) -> Result<Next> {
        let step = self.gan.step();
        let mut next = Next::GoOn;
        for observer in &mut self.observers {
            if observer.period().is_some_and(|period| last || step.is_multiple_of(period)) {
                next = first(next, observer.examine(step, &mut self.gan)?);
            }
        }
        Ok(next)
    }

    /// Writes what the logs hold back.
    fn flush(&mut self) -> Result<()> {
        self.observers.iter_mut().flat_map(|observer| observer.logs()).try_for_each(|log| log.flush())
    }

    /// How long the run has trained.
    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// The first that asks for something.
fn first(earlier: Next, later: Next) -> Next {
    if earlier == Next::GoOn { later } else { earlier }
}
