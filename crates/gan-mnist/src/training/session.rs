//! The training loop.

use std::time::{Duration, Instant};

use gannet::{Backend, Gan, Losses, StepLosses};
use gannet_data::Batches;

use super::fault;
use super::interrupt::Interrupt;
use super::observer::{End, Next, Observer, Outcome, Samples, Step};
use super::sampler::Sampler;
use crate::arguments::Every;
use crate::data::StepError;
use crate::error::{Error, Result};
use crate::ranks::Ranks;
use crate::run::metrics_file::Point;
use crate::run::{Checkpoint, Checkpoints, Config, Disk, RunDirectory, State, write_durably};
use crate::terminal::{Progress, note, resume_command};

/// What a session is made of.
pub struct Setup<'a, B: Backend> {
    /// Where the run is.
    pub run: &'a RunDirectory,
    /// The disk that it is on.
    pub disk: &'a dyn Disk,
    /// The settings, which are in config.toml too.
    pub settings: Config,
    /// What is trained.
    pub gan: Gan<B>,
    /// The data.
    pub batches: Batches,
    /// Who shares the steps, of which this is rank 0.
    pub ranks: Ranks,
    /// What looks on.
    pub observers: Vec<Box<dyn Observer>>,
    /// Whether someone asks for the end.
    pub interrupt: Interrupt,
    /// Whether nothing is said meanwhile.
    pub quiet: bool,
}

impl<B: Backend> std::fmt::Debug for Setup<'_, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} in {}", self.gan, self.run.path().display())
    }
}

/// A run in training: a GAN, its batches, its directory, and what looks on.
pub struct Session<'a, B: Backend> {
    setup: Setup<'a, B>,
    sampler: Sampler,
    progress: Progress,
    every: Every,
    checkpoints: Checkpoints,
    /// The step of the last checkpoint, and when it was written.
    saved: (u64, Instant),
    /// When this part of the run began, after which step, and how long the parts before it took.
    began: Instant,
    began_at_step: u64,
    before: Duration,
    /// The latest losses that are known: those of a GPU come a few steps late.
    losses: Option<Losses>,
    /// Whether a checkpoint comes after the last step: decided once, since losses are waited for because of it.
    checkpoint_due: bool,
}

impl<B: Backend> std::fmt::Debug for Session<'_, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session of {:?}", self.setup)
    }
}

/// What ends a run before its time.
enum Failure {
    /// Something went wrong.
    Error(Error),
    /// A number is no longer finite.
    Diverged(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl From<gannet::Error> for Failure {
    fn from(error: gannet::Error) -> Self {
        match error {
            gannet::Error::Diverged(_) => Failure::Diverged(error.to_string()),
            error => Failure::Error(error.into()),
        }
    }
}

impl<'a, B: Backend<Element = f32>> Session<'a, B> {
    /// Begins a run in a directory that holds config.toml and nothing else.
    pub fn begin(setup: Setup<'a, B>) -> Result<Self> {
        let mut session = Session::new(setup)?;
        for log in session.setup.observers.iter_mut().flat_map(|observer| observer.logs()) {
            log.create()?;
        }
        let (disk, path) = (session.setup.disk, session.setup.run.path());
        disk.sync_folder(path).map_err(|e| Error::cannot_write(path, &e))?;
        // So a run can go on from the moment that it has begun.
        session.save().map_err(|failure| session.error(failure))?;
        Ok(session)
    }

    /// Goes on from a checkpoint, from which the GAN was made already. The settings may differ from the checkpoint's in
    /// the length of the run and in what does not change its numbers.
    pub fn resume(setup: Setup<'a, B>, from: &Checkpoint) -> Result<Self> {
        let mut session = Session::new(setup)?;
        session.before = Duration::try_from_secs_f64(from.state.elapsed).unwrap_or_default();
        session.restore(&from.state)?;
        session.checkpoints.know(&session.checkpoints.newest_good()?);
        // With a new length the run is another: a checkpoint has to say so before any step is done.
        session.save().map_err(|failure| session.error(failure))?;
        Ok(session)
    }

    fn new(setup: Setup<'a, B>) -> Result<Self> {
        let sampler = Sampler::new(&setup.gan, setup.settings.seed)?;
        let every = setup.settings.checkpoint_every.parse().map_err(Error::failure)?;
        let began_at_step = setup.gan.step();
        let mut progress =
            Progress::new(setup.settings.steps, setup.settings.sample_every, every, setup.quiet);
        progress.seek(began_at_step);
        let checkpoints = Checkpoints::new(setup.run.checkpoints(), setup.settings.keep_checkpoints);
        let (began, before) = (Instant::now(), Duration::ZERO);
        let saved = (began_at_step, began);
        let (losses, checkpoint_due) = (None, false);
        Ok(Session {
            setup,
            sampler,
            progress,
            every,
            checkpoints,
            saved,
            began,
            began_at_step,
            before,
            losses,
            checkpoint_due,
        })
    }

    /// Trains until the run ends. An error says how to go on if that is possible; what could be saved has been.
    pub fn run(mut self) -> Result<End> {
        let mut result = self.train().map_err(|failure| self.error(failure));
        self.progress.finish();
        if let Err(error) = self.flush()
            && result.is_ok()
        {
            result = Err(error);
        }
        let outcome = match &result {
            Ok(outcome) => outcome.clone(),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        let end = End {
            began_at_step: self.began_at_step,
            step: self.setup.gan.step(),
            steps: self.setup.settings.steps,
            outcome,
            took: self.began.elapsed(),
            elapsed: self.elapsed(),
            before_collapse: self.checkpoints.before_collapse(),
        };
        for observer in &mut self.setup.observers {
            observer.ended(&end)?;
        }
        result.map(|_| end)
    }

    fn train(&mut self) -> Result<Outcome, Failure> {
        while self.setup.gan.step() < self.setup.settings.steps {
            match self.advance() {
                Ok(Next::GoOn) => {}
                Ok(Next::Stop(reason)) => {
                    self.tell(true)?;
                    self.save_model()?;
                    self.save()?;
                    return Ok(Outcome::Stopped(reason));
                }
                Ok(Next::RollBack { reason, learning_rate }) => {
                    self.roll_back(self.setup.gan.step(), &reason, learning_rate)?;
                    continue;
                }
                Err(Failure::Diverged(message)) => {
                    let step = self.setup.gan.step();
                    let message = self.explain(step, message);
                    let mut next = Next::GoOn;
                    for observer in &mut self.setup.observers {
                        next = earliest(next, observer.diverged(step, &message)?);
                    }
                    match next {
                        Next::GoOn => return Err(Failure::Diverged(message)),
                        Next::Stop(reason) => return Err(Error::failure(reason).into()),
                        Next::RollBack { reason, learning_rate } => {
                            self.roll_back(step, &reason, learning_rate)?;
                        }
                    }
                    continue;
                }
                Err(failure) => return Err(failure),
            }
            let step = self.setup.gan.step();
            if step >= self.setup.settings.steps {
                self.save()?;
                break;
            }
            // Also one that came while losses were told.
            if self.setup.interrupt.is_requested() {
                self.tell(true)?;
                self.save_model()?;
                self.save()?;
                return Ok(Outcome::Interrupted);
            }
            if self.checkpoint_due {
                let result = self.save();
                self.saved.1 = Instant::now();
                self.tolerate(result)?;
            }
        }
        Ok(Outcome::Finished)
    }

    /// One step, and everything that is due after it but a checkpoint.
    fn advance(&mut self) -> Result<Next, Failure> {
        let began = Instant::now();
        self.step()?;
        let (step, settings) = (self.setup.gan.step(), &self.setup.settings);
        let last = step >= settings.steps;
        let sampled = last || step.is_multiple_of(settings.sample_every);
        let examined =
            self.setup.observers.iter().any(|observer| due(observer.as_ref(), step, last).is_some());
        let asked = self.setup.interrupt.takes_checkpoint_request();
        self.checkpoint_due = asked || self.every.is_due(step, self.saved.0, self.saved.1.elapsed());
        // What looks at the model of this step, or keeps it, knows all losses up to it.
        let mut next = self.tell(sampled || examined || self.checkpoint_due)?;
        self.progress.stepped(began.elapsed(), self.losses);
        self.setup.observers.iter_mut().for_each(|observer| observer.progressed(&self.progress));
        if sampled {
            let began = Instant::now();
            next = earliest(next, self.sample(last)?);
            self.progress.sampled(began.elapsed());
        }
        Ok(earliest(next, self.examine(last)?))
    }

    /// One step of the GAN.
    fn step(&mut self) -> Result<(), Failure> {
        let Setup { gan, batches, ranks, .. } = &mut self.setup;
        batches.take_notes().iter().for_each(|line| note(line));
        ranks.step(gan, batches).map_err(|error| match error {
            StepError::Data(error) => Failure::Error(error.into()),
            StepError::Training(error) => error.into(),
        })
    }

    /// Tells the losses that have arrived, in the order of their steps; all of them if it may `wait`.
    fn tell(&mut self, wait: bool) -> Result<Next, Failure> {
        let mut next = Next::GoOn;
        loop {
            let gan = &mut self.setup.gan;
            let arrived = if wait { gan.awaited_losses()? } else { gan.next_losses()? };
            let Some(StepLosses { step: number, losses }) = arrived else { return Ok(next) };
            let images = self.setup.settings.images_seen(number);
            let step = Step { number, images, losses, elapsed: self.elapsed() };
            for observer in &mut self.setup.observers {
                next = earliest(next, observer.stepped(&step)?);
            }
            self.losses = Some(losses);
        }
    }

    /// Draws a grid, and saves the model that drew it.
    fn sample(&mut self, last: bool) -> Result<Next, Failure> {
        let elapsed = self.elapsed();
        let (images, grid) = self.sampler.draw(&mut self.setup.gan)?;
        let Sampler { latents, labels, shape, .. } = &self.sampler;
        let samples = Samples {
            step: self.setup.gan.step(),
            last,
            latents,
            labels: labels.as_deref(),
            images: &images,
            shape: *shape,
            grid: &grid,
            elapsed,
        };
        let (mut next, mut results) = (Next::GoOn, Vec::new());
        for observer in &mut self.setup.observers {
            match observer.sampled(&samples) {
                Ok(found) => next = earliest(next, found),
                Err(error) => results.push(Err(error.into())),
            }
        }
        results.push(self.flush().map_err(Failure::Error));
        // Whoever stops a run here keeps what it has learnt.
        results.push(self.save_model());
        for result in results {
            // What the last step leaves has to be there.
            if last { result? } else { self.tolerate(result)? }
        }
        Ok(next)
    }

    /// Lets those look at the model whose time it is.
    fn examine(&mut self, last: bool) -> Result<Next> {
        let step = self.setup.gan.step();
        let (mut next, mut points) = (Next::GoOn, Vec::new());
        for observer in &mut self.setup.observers {
            if let Some(period) = due(observer.as_ref(), step, last) {
                let began = Instant::now();
                next = earliest(next, observer.examine(step, &mut self.setup.gan, &mut points)?);
                self.progress.examined(period, began.elapsed());
            }
        }
        self.tell_measured(&points)?;
        Ok(next)
    }

    fn tell_measured(&mut self, points: &[Point]) -> Result<()> {
        for point in points {
            self.setup.observers.iter_mut().try_for_each(|observer| observer.measured(point))?;
        }
        Ok(())
    }

    /// Writes model.safetensors.
    fn save_model(&mut self) -> Result<(), Failure> {
        let path = self.setup.run.model();
        let cannot = |e: String| Error::failure(format!("cannot save the model {}: {e}", path.display()));
        let bytes = self.setup.gan.to_file()?.to_bytes().map_err(cannot)?;
        write_durably(self.setup.disk, &path, &bytes).map_err(|e| cannot(e.to_string()))?;
        Ok(())
    }

    /// Writes a checkpoint of this moment: logs first, so that they hold all that it speaks of.
    fn save(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let step = self.setup.gan.step();
        let mut state = State::new(step, &self.setup.settings)?;
        state.elapsed = self.elapsed().as_secs_f64();
        let model = self.setup.gan.to_file()?;
        self.setup.ranks.align(&model)?;
        for observer in &mut self.setup.observers {
            for log in observer.logs() {
                state.logs.insert(log.file_name(), log.sync(self.setup.disk)?);
            }
            // Who has nothing to know again leaves no trace.
            let known = observer.state();
            if !known.is_null() {
                state.observers.insert(observer.name().into(), known);
            }
        }
        self.checkpoints.save(self.setup.disk, &state, model)?;
        self.saved = (step, Instant::now());
        self.progress.saved(began.elapsed());
        self.setup.observers.iter_mut().for_each(|observer| observer.saved(step));
        Ok(())
    }

    /// Goes back from step `step` to the newest good checkpoint, with other learning rates.
    fn roll_back(&mut self, step: u64, reason: &str, learning_rate: f64) -> Result<(), Failure> {
        let from = self.checkpoints.newest_good()?;
        let back = from.state.step;
        self.setup.gan.rewind(&from.model)?;
        self.setup.gan.scale_learning_rates(learning_rate)?;
        self.setup.ranks.rewind(&from.model, learning_rate)?;
        self.restore(&from.state)?;
        note(&format!(
            "step {step}: {reason}; back to step {back}, with learning rates times {learning_rate}"
        ));
        self.save()
    }

    /// The message that the run diverged in step `step`, with the operation that it began at, if that can be found.
    fn explain(&mut self, step: u64, message: String) -> String {
        let Ok(from) = self.checkpoints.newest() else { return message };
        note(&format!("{message}: looking for the operation where it began"));
        let Setup { gan, batches, settings, .. } = &mut self.setup;
        match fault::find(gan, batches, &from, settings.images_seen(from.state.step), step) {
            Ok(found) => format!("{message}; {found}"),
            Err(_) => message,
        }
    }

    /// Takes everything but the GAN back to a checkpoint.
    fn restore(&mut self, state: &State) -> Result<()> {
        let (null, mut points) = (serde_json::Value::Null, Vec::new());
        for observer in &mut self.setup.observers {
            observer.restored(state.step, state.observers.get(observer.name()).unwrap_or(&null))?;
            for log in observer.logs() {
                log.resume(state.logs.get(&log.file_name()).copied().unwrap_or_default())?;
            }
            observer.logs_cut(&mut points)?;
        }
        self.tell_measured(&points)?;
        self.setup.batches.seek(self.setup.settings.images_seen(state.step));
        self.progress.seek(state.step);
        Ok(())
    }

    /// Writes what the logs hold back.
    fn flush(&mut self) -> Result<()> {
        let disk = self.setup.disk;
        self.setup
            .observers
            .iter_mut()
            .flat_map(|observer| observer.logs())
            .try_for_each(|log| log.flush(disk))
    }

    /// Says what went wrong with a file that the run can go on without, for now.
    fn tolerate(&mut self, result: Result<(), Failure>) -> Result<(), Failure> {
        match result {
            Err(Failure::Error(error)) => {
                note(&format!("{error}; training goes on"));
                Ok(())
            }
            result => result,
        }
    }

    /// What a failure comes to for people: how to go on.
    fn error(&self, failure: Failure) -> Error {
        let saved = self.saved.0;
        match failure {
            Failure::Error(error) if self.checkpoints.is_empty() => {
                Error::failure(format!("{error}; the run has not begun, and nothing of it is kept"))
            }
            Failure::Diverged(message) => Error::failure(format!(
                "{message}; from the last checkpoint, after step {saved}, `{} --learning-rate RATE` goes on with a smaller \
                 learning rate",
                resume_command(self.setup.run.path())
            )),
            Failure::Error(error) => Error::failure(format!(
                "{error}; what was trained until step {saved} is saved: go on with `{}`",
                resume_command(self.setup.run.path())
            )),
        }
    }

    /// How long the run has trained.
    fn elapsed(&self) -> Duration {
        self.before + self.began.elapsed()
    }
}

/// The longest of the periods for which an observer is to look at the model after `step`; `None` if none has come.
fn due(observer: &dyn Observer, step: u64, last: bool) -> Option<u64> {
    observer.periods().into_iter().filter(|&period| last || step.is_multiple_of(period)).max()
}

/// The earliest that asks for something.
fn earliest(earlier: Next, later: Next) -> Next {
    if earlier == Next::GoOn { later } else { earlier }
}
