//! One model with a loss and an optimiser: what Keras' `compile` gives.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gannet_tensor::{Backend, Element, Graph, Plan, Program, Shape, Var, Variables};

use crate::error::{Error, Result};
use crate::feeding::write_if_read;
use crate::gan::insert_model;
use crate::layer::Pass;
use crate::model::{LayerAt, Model};
use crate::names;
use crate::objective::Objective;
use crate::optimisers::Optimiser;
use crate::samples::{Checked, Samples, inputs, samples};
use crate::schedule::Schedule;
use crate::seed::seed;
use crate::sequential::Sequential;
use crate::slots::{self, Slot};
use crate::update::{Traced, Training};

const X: &str = "x";
const TARGETS: &str = "targets";
const LOSS: &str = "loss";
const Y: &str = "y";

/// Samples that are evaluated at a time.
const CHUNK: usize = 64;

/// A model with a loss and an optimiser, on a device: made by [`Sequential::compile`] or read by
/// [`Compiled::load`].
pub struct Compiled<B: Backend> {
    pub(crate) backend: B,
    pub(crate) sequential: Sequential,
    pub(crate) model: Model,
    pub(crate) objective: Objective,
    pub(crate) optimiser: Optimiser,
    pub(crate) schedule: Schedule,
    /// The updates over which the learning rate falls.
    pub(crate) steps: Option<u64>,
    pub(crate) variables: Variables<B>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) updates: u64,
    /// A program for each size of a batch, and whether the outputs are asked for too.
    training: BTreeMap<(usize, bool), Program<B>>,
    /// For each size of a batch and each layer.
    prediction: BTreeMap<(usize, usize), Program<B>>,
    evaluation: BTreeMap<usize, Program<B>>,
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
        Compiled::new(backend, self.clone(), objective, optimiser.into(), seed())
    }
}

/// How good a model is on some samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// The share of targets that were met: classes, or probabilities on the right side of a half. `None` where the
    /// objective has no such thing.
    pub accuracy: Option<f64>,
}

impl<B: Backend> Compiled<B> {
    pub(crate) fn new(
        backend: &B,
        sequential: Sequential,
        objective: Objective,
        optimiser: Optimiser,
        seed: u64,
    ) -> Result<Compiled<B>> {
        let model = sequential.build()?;
        check(&model, objective, &optimiser)?;
        let mut variables = Variables::new();
        insert_model(backend, &mut variables, &model, &optimiser, seed, false)?;
        Ok(Compiled {
            backend: backend.clone(),
            slots: slots::model_slots(&model, &optimiser, false),
            sequential,
            model,
            objective,
            optimiser,
            schedule: Schedule::Constant,
            steps: None,
            variables,
            updates: 0,
            training: BTreeMap::new(),
            prediction: BTreeMap::new(),
            evaluation: BTreeMap::new(),
        })
    }

    /// The layers and shapes.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The device.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// What it minimises.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The table of layers, as [`Model::summary`].
    pub fn summary(&self) -> String {
        self.model.summary()
    }

    /// The updates done.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Lets the learning rate fall over the first `steps` updates, those done included. Errors when the schedule is
    /// impossible.
    pub fn set_schedule(&mut self, schedule: Schedule, steps: u64) -> Result<()> {
        schedule.check()?;
        if schedule.needs_length() && steps == 0 {
            return Err(Error::invalid("a learning rate that falls needs at least 1 update to do so, got 0"));
        }
        (self.schedule, self.steps) = (schedule, Some(steps));
        Ok(())
    }

    /// Sets the learning rate of the updates that follow, before any schedule. Errors when it is no positive number.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        let optimiser = self.optimiser.with_learning_rate(learning_rate);
        optimiser.check()?;
        self.optimiser = optimiser;
        Ok(())
    }

    /// The learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        self.optimiser.learning_rate() * self.factor()
    }

    fn factor(&self) -> f64 {
        self.schedule.factor(self.updates, self.steps.unwrap_or(0))
    }

    /// One update against a batch `x` [n, input] and its targets [n, output] (or `[n]` for classes), both row-major.
    /// Returns the loss before the update. Batches may differ in size; each size makes a program of its own.
    ///
    /// Errors when they do not fit, or when a target is none of the classes.
    pub fn train_on_batch<'a>(
        &mut self,
        x: impl Into<Samples<'a, B::Element>>,
        targets: &[B::Element],
    ) -> Result<f64>
    where
        B::Element: 'a,
    {
        let x = x.into().check(&self.model)?;
        self.objective
            .check_targets(targets, x.n, self.model.output())
            .map_err(|e| e.context(self.model.name()))?;
        Ok(self.update(&x, targets, false)?.0)
    }

    /// One update. Gives the loss and, where asked for, the outputs before it.
    pub(crate) fn update(
        &mut self,
        x: &Checked<'_, B::Element>,
        targets: &[B::Element],
        outputs: bool,
    ) -> Result<(f64, Vec<B::Element>)> {
        let factor = self.factor();
        let program = match self.training.entry((x.n, outputs)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let plan = training(&self.model, self.objective, &self.optimiser, x.n, outputs)?;
                entry.insert(Program::new(&self.backend, plan, &self.variables)?)
            }
        };
        let scalars = self.optimiser.scalars(self.updates + 1, factor).into_iter().map(B::Element::of);
        write(program, &self.model, x)?;
        program.write(TARGETS, targets)?;
        write_if_read(program, names::COUNTER, &[B::Element::of((self.updates % (1 << 24)) as f64)])?;
        write_if_read(program, &names::scalars(self.model.name()), &scalars.collect::<Vec<_>>())?;
        program.run()?;
        self.updates += 1;
        let y = if outputs { program.read(Y)? } else { Vec::new() };
        Ok((program.read(LOSS)?[0].to_f64(), y))
    }

    /// The outputs [n, output] for a batch `x` [n, input], in inference mode.
    pub fn predict<'a>(&mut self, x: impl Into<Samples<'a, B::Element>>) -> Result<Vec<B::Element>>
    where
        B::Element: 'a,
    {
        let last = self.model.layers().len() - 1;
        self.predict_layer(x, last)
    }

    /// What comes out of a layer for a batch `x` [n, input], in inference mode: [n, the layer's output]. A layer is named
    /// by its position, or as the summary has it: `2.batch_norm`.
    pub fn predict_layer<'a, 'l>(
        &mut self,
        x: impl Into<Samples<'a, B::Element>>,
        layer: impl Into<LayerAt<'l>>,
    ) -> Result<Vec<B::Element>>
    where
        B::Element: 'a,
    {
        let x = x.into().check(&self.model)?;
        let layer = self.model.layer_index(layer)?;
        let program = match self.prediction.entry((x.n, layer)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let graph = Graph::new();
                let mut traced = Traced::new(&graph, &self.model, &self.optimiser);
                let outputs = trace(&graph, &self.model, &mut traced, x.n, Pass::inference())?;
                let plan = graph.plan().output(Y, outputs[layer]).build()?;
                entry.insert(Program::new(&self.backend, plan, &self.variables)?)
            }
        };
        write(program, &self.model, &x)?;
        program.run()?;
        Ok(program.read(Y)?)
    }

    /// The mean loss and the accuracy over samples `x` [n, input] with their targets, in inference mode. Errors as
    /// [`train_on_batch`](Compiled::train_on_batch) does.
    pub fn evaluate<'a>(
        &mut self,
        x: impl Into<Samples<'a, B::Element>>,
        targets: &[B::Element],
    ) -> Result<Evaluation>
    where
        B::Element: 'a,
    {
        let x = x.into().check(&self.model)?;
        let output = self.model.output();
        self.objective.check_targets(targets, x.n, output).map_err(|e| e.context(self.model.name()))?;
        let target = targets.len() / x.n;
        let mut sums = Sums::default();
        for start in (0..x.n).step_by(CHUNK) {
            let n = CHUNK.min(x.n - start);
            let inputs = x.inputs.iter().map(|(len, values)| (*len, &values[start * len..(start + n) * len]));
            let chunk = Checked { n, inputs: inputs.collect() };
            let targets = &targets[start * target..(start + n) * target];
            let program = match self.evaluation.entry(n) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let plan = evaluation(&self.model, self.objective, &self.optimiser, n)?;
                    entry.insert(Program::new(&self.backend, plan, &self.variables)?)
                }
            };
            write(program, &self.model, &chunk)?;
            program.write(TARGETS, targets)?;
            program.run()?;
            sums.add(
                n,
                program.read(LOSS)?[0].to_f64(),
                self.objective.correct(&program.read(Y)?, targets, output),
            );
        }
        Ok(sums.mean())
    }

    /// The tensors that make up its state, by name, with their shapes: weights and running statistics
    /// (`classifier/0.dense/kernel`), and the optimiser's moments (`optimiser/classifier/0.dense/kernel/m`).
    pub fn tensors(&self) -> impl Iterator<Item = (&str, Shape)> {
        self.slots.iter().map(|slot| (slot.name.as_str(), slot.shape))
    }

    /// The values of a tensor, in the layout of its layer. Errors, naming those that there are, when there is no such
    /// tensor.
    pub fn read_tensor(&self, name: &str) -> Result<Vec<B::Element>> {
        slots::read(&self.slots, &self.variables, &self.backend, name)
    }

    /// Overwrites a tensor. Errors when there is none of that name, or when it takes another number of values.
    pub fn write_tensor(&mut self, name: &str, values: &[B::Element]) -> Result<()> {
        slots::write(&self.slots, &mut self.variables, &self.backend, name, values)
    }
}

/// Losses and hits of batches, summed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    samples: usize,
    loss: f64,
    correct: Option<(usize, usize)>,
}

impl Sums {
    /// Adds a batch of `n` samples with its mean loss.
    pub(crate) fn add(&mut self, n: usize, loss: f64, correct: Option<(usize, usize)>) {
        self.samples += n;
        self.loss += n as f64 * loss;
        if let Some((right, of)) = correct {
            let (a, b) = self.correct.unwrap_or_default();
            self.correct = Some((a + right, b + of));
        }
    }

    /// The means over all samples.
    pub(crate) fn mean(&self) -> Evaluation {
        Evaluation {
            loss: self.loss / self.samples.max(1) as f64,
            accuracy: self.correct.map(|(right, of)| right as f64 / of.max(1) as f64),
        }
    }
}

/// Errors when a model cannot be trained by itself.
pub(crate) fn check(model: &Model, objective: Objective, optimiser: &Optimiser) -> Result<()> {
    optimiser.check()?;
    objective.target(model.output()).map_err(|e| e.context(model.name()))?;
    if model.classes().is_some() {
        return Err(Error::invalid(format!(
            "{}: a layer needs the class of each image; only a Gan can tell it",
            model.name()
        )));
    }
    Ok(())
}

/// Hands a batch to a program, which may not read all of it.
fn write<B: Backend>(program: &mut Program<B>, model: &Model, x: &Checked<'_, B::Element>) -> Result<()> {
    let names = model.inputs().iter().map(|(name, _)| names::further(name));
    for (name, (_, values)) in std::iter::once(X.to_owned()).chain(names).zip(&x.inputs) {
        write_if_read(program, &name, values)?;
    }
    Ok(())
}

/// The outputs of all layers for a batch of `n`.
fn trace<'g>(
    graph: &'g Graph,
    model: &Model,
    traced: &mut Traced<'g>,
    n: usize,
    pass: Pass<'g>,
) -> Result<Vec<Var<'g>>> {
    let x = graph.input(X, samples(n, model.input())?);
    let inputs = inputs(graph, model.inputs(), n)?;
    model.trace_layers(x, &inputs, &traced.parameters, &mut traced.states, pass)
}

/// One update of a model against targets.
fn training(
    model: &Model,
    objective: Objective,
    optimiser: &Optimiser,
    n: usize,
    outputs: bool,
) -> Result<Plan> {
    let graph = Graph::new();
    let mut traced = Traced::new(&graph, model, optimiser);
    let pass = Pass { counter: Some(graph.input(names::COUNTER, [1])), ..Pass::training() };
    let y = last(trace(&graph, model, &mut traced, n, pass)?)?;
    let targets = graph.input(TARGETS, samples(n, objective.target(model.output())?)?);
    let loss = objective.trace(y, targets);
    traced.update(model, &Training { optimiser, clip_norm: None, clip_weights: None }, loss)?;
    let plan = graph.plan().output(LOSS, loss);
    let plan = if outputs { plan.output(Y, y) } else { plan };
    Ok(traced.assign(model, plan).build()?)
}

/// The loss and the outputs of a model, in inference mode.
fn evaluation(model: &Model, objective: Objective, optimiser: &Optimiser, n: usize) -> Result<Plan> {
    let graph = Graph::new();
    let mut traced = Traced::new(&graph, model, optimiser);
    let y = last(trace(&graph, model, &mut traced, n, Pass::inference())?)?;
    let targets = graph.input(TARGETS, samples(n, objective.target(model.output())?)?);
    Ok(graph.plan().output(LOSS, objective.trace(y, targets)).output(Y, y).build()?)
}

/// The output of the last layer.
fn last(outputs: Vec<Var<'_>>) -> Result<Var<'_>> {
    outputs.last().copied().ok_or_else(|| Error::invalid("a model needs at least one layer"))
}
