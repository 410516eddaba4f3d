//! What looks on while a run goes on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gannet::{Backend, Gan, Gauges, Losses};
use gannet_data::ImageShape;
use serde_json::Value;

use crate::error::Result;
use crate::picture::Picture;
use crate::run::Log;
use crate::run::metrics_file::Point;
use crate::terminal::Progress;

/// Something that a [`Session`](super::Session) tells what happens. Every method but the name has a default that does
/// nothing.
///
/// In a step the order is: [`stepped`](Observer::stepped), [`sampled`](Observer::sampled) if a grid is due,
/// [`examine`](Observer::examine) if it is due, [`measured`](Observer::measured) for what that came to, and then perhaps
/// a checkpoint: [`logs`](Observer::logs) are brought to the disk and [`state`](Observer::state) is asked for. Whoever keeps everything that matters in those two gives the
/// same bytes in a run that was interrupted as in one that was not.
pub trait Observer {
    /// What it is called in checkpoints. No two observers of a run have the same name.
    fn name(&self) -> &'static str;

    /// The losses of a step are known. Steps come in order and none is left out; on a GPU they come a few steps late,
    /// but always before [`sampled`](Observer::sampled), [`examine`](Observer::examine) or a checkpoint of that step.
    fn stepped(&mut self, step: &Step) -> Result<Next> {
        let _ = step;
        Ok(Next::GoOn)
    }

    /// A grid of samples was drawn: every `--sample-every` steps and after the last. An error, of a full disk for
    /// instance, is noted and the run goes on, except after the last step.
    fn sampled(&mut self, samples: &Samples<'_>) -> Result<Next> {
        let _ = samples;
        Ok(Next::GoOn)
    }

    /// The periods, in steps, of what it looks at the model for: [`examine`](Observer::examine) comes after the steps
    /// that one of them divides, and after the last step. Without one it never comes.
    fn periods(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Time to look at the model after `step`. What is measured goes into `points`, from which all observers get it. What
    /// it takes is counted in the estimate of the time left.
    fn examine(&mut self, step: u64, model: &mut dyn Trained, points: &mut Vec<Point>) -> Result<Next> {
        let _ = (step, model, points);
        Ok(Next::GoOn)
    }

    /// Someone has measured this, itself perhaps.
    fn measured(&mut self, point: &Point) -> Result<()> {
        let _ = point;
        Ok(())
    }

    /// A loss or a weight is no longer a finite number after `step`; `message` says which. The run fails unless someone
    /// asks for a [`RollBack`](Next::RollBack).
    fn diverged(&mut self, step: u64, message: &str) -> Result<Next> {
        let _ = (step, message);
        Ok(Next::GoOn)
    }

    /// Its append-only files; asking for them changes nothing. The session opens them, writes what they hold back, and
    /// cuts them to the length that a checkpoint names when a run goes on from there.
    fn logs(&mut self) -> Vec<&mut Log> {
        Vec::new()
    }

    /// What it has to know again when the run goes on from here; goes into a checkpoint. With the entry `suspect: true`
    /// the checkpoint is one that a run does not go back to, if there is an older one.
    fn state(&self) -> Value {
        Value::Null
    }

    /// The run goes on from a checkpoint after `step`, with the state that [`state`](Observer::state) gave then (`Null`
    /// if the observer was not there). Called before its logs are opened; what was written about later steps beside the
    /// logs has to go now.
    fn restored(&mut self, step: u64, state: &Value) -> Result<()> {
        let _ = (step, state);
        Ok(())
    }

    /// After [`restored`](Observer::restored), its logs have been cut to what they were then: what is to stand in them all
    /// the same, for instance why the run went back, is added now, and to `points`, from which all observers get it.
    fn logs_cut(&mut self, points: &mut Vec<Point>) -> Result<()> {
        let _ = points;
        Ok(())
    }

    /// A step is done: how fast the run is, and how long it will take. That is worked out when it is asked for.
    fn progressed(&mut self, progress: &Progress) {
        let _ = progress;
    }

    /// A checkpoint of this step was written.
    fn saved(&mut self, step: u64) {
        let _ = step;
    }

    /// The run ends, however it does; whatever can be saved has been.
    fn ended(&mut self, end: &End) -> Result<()> {
        let _ = end;
        Ok(())
    }
}

/// A training step that is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Its number, from 1.
    pub number: u64,
    /// Images seen so far, this step's included.
    pub images: u64,
    /// Its losses.
    pub losses: Losses,
    /// How long the run has trained when the step was done, all its parts together. Not the same in two runs.
    pub elapsed: Duration,
}

/// Samples of the latents that every grid of a run is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// The step after which they were drawn.
    pub step: u64,
    /// Whether it is the last of the run.
    pub last: bool,
    /// [N, z].
    pub latents: &'a [f32],
    /// The class asked for, `[N]`, of a conditional model.
    pub labels: Option<&'a [u32]>,
    /// [N, height, width, channels], in the generator's range, [-1, 1].
    pub images: &'a [f32],
    /// The size of each.
    pub shape: ImageShape,
    /// All of them in one picture.
    pub grid: &'a Picture,
    /// How long the run has trained, all its parts together.
    pub elapsed: Duration,
}

/// What a run does after an observer was told something. The first that is not `GoOn` counts.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// It goes on.
    GoOn,
    /// It ends here, for this reason, and is saved as it would be at its end.
    Stop(String),
    /// It goes back to the last checkpoint, for this reason.
    RollBack {
        /// Why, for people.
        reason: String,
        /// What both learning rates are multiplied with from there on. With 1.0 the same would happen again.
        learning_rate: f64,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All its steps are done.
    Finished,
    /// Someone pressed Ctrl-C or sent a signal.
    Interrupted,
    /// An observer stopped it, for this reason.
    Stopped(String),
    /// An error, in one line.
    Failed(String),
}

/// The end of a run, or of a part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// The steps that were done before this part of the run.
    pub began_at_step: u64,
    /// The steps that are done.
    pub step: u64,
    /// The steps that the run was to take.
    pub steps: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// How long this part took.
    pub took: Duration,
    /// How long it has trained, all its parts together.
    pub elapsed: Duration,
    /// The last checkpoint from before a collapse, if there was one.
    pub before_collapse: Option<PathBuf>,
}

/// A GAN in training, on whatever device.
pub trait Trained {
    /// The steps that are done.
    fn step(&self) -> u64;
    /// Classes of a conditional model.
    fn classes(&self) -> Option<usize>;
    /// The first `n` latents that `seed` gives, [n, z].
    fn latents(&self, n: usize, seed: u64) -> Vec<f32>;
    /// Images [n, height, width, channels] from latents [n, z] and, for a conditional model, their classes.
    fn generate(&mut self, latents: &[f32], labels: Option<&[u32]>) -> Result<Vec<f32>>;
    /// How the last step went: scores, learning rates, gradient norms.
    fn gauges(&mut self) -> Result<Gauges>;
    /// The names of all tensors with their shapes, as in model.safetensors.
    fn tensors(&self) -> Vec<(String, Vec<usize>)>;
    /// The values of one of them.
    fn read_tensor(&self, name: &str) -> Result<Vec<f32>>;
    /// Writes it as model.safetensors is written, whole or not at all.
    fn save(&mut self, path: &Path) -> Result<()>;
}

impl<B: Backend<Element = f32>> Trained for Gan<B> {
    fn step(&self) -> u64 {
        Gan::step(self)
    }

    fn classes(&self) -> Option<usize> {
        Gan::classes(self)
    }

    fn latents(&self, n: usize, seed: u64) -> Vec<f32> {
        Gan::latents(self, n, seed)
    }

    fn generate(&mut self, latents: &[f32], labels: Option<&[u32]>) -> Result<Vec<f32>> {
        Ok(Gan::generate(self, latents, labels)?)
    }

    fn gauges(&mut self) -> Result<Gauges> {
        Ok(Gan::gauges(self)?)
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        Gan::tensors(self).map(|(name, shape)| (name.to_owned(), shape.dims().to_vec())).collect()
    }

    fn read_tensor(&self, name: &str) -> Result<Vec<f32>> {
        Ok(Gan::read_tensor(self, name)?)
    }

    fn save(&mut self, path: &Path) -> Result<()> {
        Ok(Gan::save(self, path)?)
    }
}
