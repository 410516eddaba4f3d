//! One model with a loss and an optimiser: what Keras' `compile` gives.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gannet_tensor::{Backend, Element, Graph, Plan, Program, Shape, Variables};

use crate::error::{Error, Result};
use crate::gan::{insert_model, write_if_read};
use crate::layer::Pass;
use crate::model::Model;
use crate::names;
use crate::objective::Objective;
use crate::optimisers::Optimiser;
use crate::seed::seed;
use crate::sequential::Sequential;
use crate::update::{Traced, Training};

const X: &str = "x";
const TARGETS: &str = "targets";
const LOSS: &str = "loss";
const Y: &str = "y";

/// A model with a loss and an optimiser, on a device: made by [`Sequential::compile`].
pub struct Compiled<B: Backend> {
    pub(crate) backend: B,
    pub(crate) model: Model,
    pub(crate) objective: Objective,
    pub(crate) optimiser: Optimiser,
    pub(crate) variables: Variables<B>,
    updates: u64,
    /// A program for each size of a batch.
    training: BTreeMap<usize, Program<B>>,
    prediction: BTreeMap<usize, Program<B>>,
}

impl<B: Backend> std::fmt::Debug for Compiled<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Compiled '{}' on {}", self.model.name(), self.backend.describe())
    }
}

impl Sequential {
    /// Builds the model on a device, with fresh weights from the [process' seed](crate::set_seed). Errors when its shapes
    /// do not fit, or the loss not its output.
    pub fn compile<B: Backend>(
        &self,
        backend: &B,
        objective: Objective,
        optimiser: impl Into<Optimiser>,
    ) -> Result<Compiled<B>> {
        let (model, optimiser) = (self.build()?, optimiser.into());
        optimiser.check()?;
        objective.target(model.output()).map_err(|e| e.context(model.name()))?;
        if model.classes().is_some() {
            return Err(Error::invalid(format!(
                "{}: a layer needs the class of each image; only a Gan can tell it",
                model.name()
            )));
        }
        let mut variables = Variables::new();
        insert_model(backend, &mut variables, &model, &optimiser, seed(), false)?;
        Ok(Compiled {
            backend: backend.clone(),
            model,
            objective,
            optimiser,
            variables,
            updates: 0,
            training: BTreeMap::new(),
            prediction: BTreeMap::new(),
        })
    }
}

impl<B: Backend> Compiled<B> {
    /// The layers and shapes.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The table of layers, as [`Model::summary`].
    pub fn summary(&self) -> String {
        self.model.summary()
    }

    /// One update against a batch `x` [n, input] and its targets [n, output] (or `[n]` for classes), both row-major.
    /// Returns the loss before the update. Batches may differ in size; each size makes a program of its own.
    pub fn train_on_batch(&mut self, x: &[B::Element], targets: &[B::Element]) -> Result<f64> {
        let n = batch(&self.model, x.len())?;
        let program = match self.training.entry(n) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let plan = training(&self.model, self.objective, &self.optimiser, n)?;
                entry.insert(Program::new(&self.backend, plan, &self.variables)?)
            }
        };
        let scalars = self.optimiser.scalars(self.updates + 1, 1.0).into_iter().map(B::Element::of);
        program.write(X, x)?;
        program.write(TARGETS, targets)?;
        write_if_read(program, names::COUNTER, &[B::Element::of((self.updates % (1 << 24)) as f64)])?;
        program.write(&names::scalars(self.model.name()), &scalars.collect::<Vec<_>>())?;
        program.run()?;
        self.updates += 1;
        Ok(program.read(LOSS)?[0].to_f64())
    }

    /// The outputs [n, output] for a batch `x` [n, input], in inference mode.
    pub fn predict(&mut self, x: &[B::Element]) -> Result<Vec<B::Element>> {
        let n = batch(&self.model, x.len())?;
        let program = match self.prediction.entry(n) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let graph = Graph::new();
                let mut traced = Traced::new(&graph, &self.model, &self.optimiser);
                let x = graph.input(X, samples(n, self.model.input())?);
                let y = self.model.trace(x, &traced.parameters, &mut traced.states, Pass::inference())?;
                let plan = graph.plan().output(Y, y).build()?;
                entry.insert(Program::new(&self.backend, plan, &self.variables)?)
            }
        };
        program.write(X, x)?;
        program.run()?;
        Ok(program.read(Y)?)
    }
}

/// One update of a model against targets.
fn training(model: &Model, objective: Objective, optimiser: &Optimiser, n: usize) -> Result<Plan> {
    let graph = Graph::new();
    let mut traced = Traced::new(&graph, model, optimiser);
    let x = graph.input(X, samples(n, model.input())?);
    let targets = graph.input(TARGETS, samples(n, objective.target(model.output())?)?);
    let pass = Pass { counter: Some(graph.input(names::COUNTER, [1])), ..Pass::training() };
    let y = model.trace(x, &traced.parameters, &mut traced.states, pass)?;
    let loss = objective.trace(y, targets);
    traced.update(model, &Training { optimiser, clip_norm: None, clip_weights: None }, loss)?;
    Ok(traced.assign(model, graph.plan().output(LOSS, loss)).build()?)
}

/// The number of samples in a batch of `len` numbers.
pub(crate) fn batch(model: &Model, len: usize) -> Result<usize> {
    let sample = model.input().len();
    if len == 0 || !len.is_multiple_of(sample) {
        return Err(Error::invalid(format!(
            "{}: expected samples of shape {}, {sample} numbers each, got {len} numbers in all",
            model.name(),
            model.input()
        )));
    }
    Ok(len / sample)
}

/// The shape of `n` samples.
pub(crate) fn samples(n: usize, sample: Shape) -> Result<Shape> {
    let dims: Vec<usize> = std::iter::once(n).chain(sample.dims().iter().copied()).collect();
    Ok(Shape::new(&dims)?)
}
