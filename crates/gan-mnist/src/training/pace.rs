//! How fast a recipe trains here, found out by a few steps of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

use gannet::{Backend, Gan, GanConfig, Stream};

use crate::data::Same;
use crate::error::Result;

/// The steps that are timed, at least: one alone may meet whatever else the machine does.
const STEPS: u64 = 4;

/// The steps from one computation of a penalty to the next that are timed, at most.
const LONGEST_CYCLE: u64 = 16;

/// The micro-batches of a step that is timed, at most.
const MICRO_BATCHES: u64 = 4;

/// The paces of recipes on a device, each measured when it is first asked for.
#[derive(Debug)]
pub struct Pace<'a, B> {
    backend: &'a B,
    known: RefCell<BTreeMap<String, f64>>,
}

impl<'a, B: Backend<Element = f32>> Pace<'a, B> {
    /// Nothing is measured yet.
    pub fn new(backend: &'a B) -> Self {
        Pace { backend, known: RefCell::default() }
    }

    /// Seconds that a step of the recipe takes, penalties and the generator's turns in their proportion.
    pub fn seconds_per_step(&self, config: &GanConfig) -> Result<f64> {
        // Neither how long a run is nor what it starts from changes how long a step takes.
        let key = config.clone().seed(0).steps(LONGEST_CYCLE).to_toml()?;
        if let Some(&seconds) = self.known.borrow().get(&key) {
            return Ok(seconds);
        }
        let seconds = measure(self.backend, config)?;
        self.known.borrow_mut().insert(key, seconds);
        Ok(seconds)
    }
}

/// Trains a model that is thrown away on noise of the right shape: what a step takes does not depend on what it sees.
fn measure<B: Backend<Element = f32>>(backend: &B, config: &GanConfig) -> Result<f64> {
    let mut config = config.clone();
    // A step of many micro-batches takes as many times as long as one of few.
    let few = config.accumulate.min(MICRO_BATCHES);
    let times = config.accumulate as f64 / few as f64;
    config.accumulate = few;
    config.steps.get_or_insert(LONGEST_CYCLE);
    let cycle = config.penalties.iter().map(|penalty| penalty.every()).max().unwrap_or(1);
    let cycle = cycle.max(config.discriminator_steps).clamp(1, LONGEST_CYCLE);
    let mut gan = Gan::new(backend, config)?;
    let batch = gan.config().batch_size;
    let mut stream = Stream::new(0, "pace", 0);
    let images: Vec<f32> =
        (0..batch * gan.image_shape().len()).map(|_| stream.uniform(-1.0, 1.0) as f32).collect();
    let labels: Option<Vec<u32>> =
        gan.training_labels().map(|classes| (0..batch).map(|i| (i % classes) as u32).collect());
    let mut train = |steps: u64| -> Result<()> {
        for _ in 0..steps {
            gan.train_step_by(&mut Same { images: &images, labels: labels.as_deref() })?;
            while gan.next_losses()?.is_some() {}
        }
        gan.losses()?;
        Ok(())
    };
    // Every kind of step once: the first of each is planned and its memory fetched.
    train(cycle)?;
    let steps = STEPS.next_multiple_of(cycle);
    let start = Instant::now();
    train(steps)?;
    Ok(times * start.elapsed().as_secs_f64() / steps as f64)
}

#[cfg(test)]
mod tests {
    use gannet::{Cpu, presets};

    use super::*;
    use crate::device::Device;

    #[test]
    fn recipes_with_penalties_labels_and_several_updates_have_a_pace() {
        let cpu = Device::Cpu(Cpu::with_threads(1).unwrap());
        for name in ["cdcgan", "wgan-gp"] {
            let config = presets::get(name).unwrap().batch_size(2);
            let pace = Pace::new(&cpu);
            let seconds = pace.seconds_per_step(&config).unwrap();
            assert!(seconds > 0.0 && seconds.is_finite(), "{name}: {seconds}");
            let longer = config.seed(7).steps(1000);
            assert_eq!(pace.seconds_per_step(&longer).unwrap(), seconds, "{name} is measured once");
        }
    }
}
