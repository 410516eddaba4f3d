//! A generator that is trained through a discriminator.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gannet_tensor::{Backend, Element, Graph, Plan, Program, Variables};

use crate::compiled::Compiled;
use crate::error::{Error, Result};
use crate::feeding::write_if_read;
use crate::layer::Pass;
use crate::model::Model;
use crate::names;
use crate::objective::Objective;
use crate::optimisers::Optimiser;
use crate::samples::{batch, samples};
use crate::update::{Traced, Training};

const Z: &str = "z";
const TARGETS: &str = "targets";
const LOSS: &str = "loss";

/// The generator and the discriminator as one model in which only the generator is trained: Keras'
/// `Sequential([generator, discriminator])` with `discriminator.trainable = False`. It shares the weights of both.
///
/// Frozen weights are not inference mode: the discriminator works with the statistics of the batch, as when it is
/// trained itself, and its running statistics move. (Keras' BatchNormalization switches to running statistics when it
/// is frozen; the generator would then be judged by another discriminator than the one that was trained.)
pub struct Stacked<B: Backend> {
    backend: B,
    generator: Model,
    discriminator: Model,
    objective: Objective,
    optimiser: Optimiser,
    /// Of the discriminator: only the shape of its state depends on it.
    frozen: Optimiser,
    variables: Variables<B>,
    updates: u64,
    programs: BTreeMap<usize, Program<B>>,
}

impl<B: Backend> std::fmt::Debug for Stacked<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}' through '{}'", self.generator.name(), self.discriminator.name())
    }
}

impl<B: Backend> Stacked<B> {
    /// The generator, trained by its optimiser against the discriminator's loss. Errors when the output of the one is not
    /// the input of the other, or both have the same name.
    pub fn new(generator: &Compiled<B>, discriminator: &Compiled<B>) -> Result<Stacked<B>> {
        let (made, taken) = (generator.model.output(), discriminator.model.input());
        if made != taken {
            return Err(Error::invalid(format!(
                "'{}' makes samples of shape {made}, '{}' takes {taken}",
                generator.model.name(),
                discriminator.model.name()
            )));
        }
        let mut variables = Variables::new();
        variables.share(&generator.variables)?;
        variables.share(&discriminator.variables)?;
        Ok(Stacked {
            backend: generator.backend.clone(),
            generator: generator.model.clone(),
            discriminator: discriminator.model.clone(),
            objective: discriminator.objective,
            optimiser: generator.optimiser.clone(),
            frozen: discriminator.optimiser.clone(),
            variables,
            updates: 0,
            programs: BTreeMap::new(),
        })
    }

    /// One update of the generator so that the discriminator's output for latents `z` [n, input] comes nearer to the
    /// targets [n, output]: ones, if it is to be taken for real. Returns the loss before the update.
    pub fn train_on_batch(&mut self, z: &[B::Element], targets: &[B::Element]) -> Result<f64> {
        let n = batch(&self.generator, z.len())?;
        let program = match self.programs.entry(n) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let generator = (&self.generator, &self.optimiser);
                let discriminator = (&self.discriminator, &self.frozen);
                let plan = through(generator, discriminator, self.objective, n)?;
                entry.insert(Program::new(&self.backend, plan, &self.variables)?)
            }
        };
        let scalars = self.optimiser.scalars(self.updates + 1, 1.0).into_iter().map(B::Element::of);
        program.write(Z, z)?;
        program.write(TARGETS, targets)?;
        write_if_read(program, names::COUNTER, &[B::Element::of((self.updates % (1 << 24)) as f64)])?;
        program.write(&names::scalars(self.generator.name()), &scalars.collect::<Vec<_>>())?;
        program.run()?;
        self.updates += 1;
        Ok(program.read(LOSS)?[0].to_f64())
    }
}

/// One update of a generator through a discriminator.
fn through(
    (generator, optimiser): (&Model, &Optimiser),
    (discriminator, frozen): (&Model, &Optimiser),
    objective: Objective,
    n: usize,
) -> Result<Plan> {
    let graph = Graph::new();
    let mut g = Traced::new(&graph, generator, optimiser);
    let mut d = Traced::new(&graph, discriminator, frozen);
    let z = graph.input(Z, samples(n, generator.input())?);
    let targets = graph.input(TARGETS, samples(n, objective.target(discriminator.output())?)?);
    let counter = Some(graph.input(names::COUNTER, [1]));
    let images = generator.trace(z, &g.parameters, &mut g.states, Pass { counter, ..Pass::training() })?;
    let pass = Pass { counter, index: 1, ..Pass::training() };
    let y = discriminator.trace(images, &d.parameters, &mut d.states, pass)?;
    let loss = objective.trace(y, targets);
    g.update(generator, &Training { optimiser, clip_norm: None, clip_weights: None }, loss)?;
    let plan = g.assign(generator, graph.plan().output(LOSS, loss));
    Ok(d.assign(discriminator, plan).build()?)
}
