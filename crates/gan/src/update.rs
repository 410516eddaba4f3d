//! A model's variables in a graph, and their update by an optimiser.

use gannet_tensor::{Graph, PlanBuilder, Var};

use crate::error::{Error, Result};
use crate::layer::States;
use crate::model::Model;
use crate::names;
use crate::optimisers::Optimiser;
use crate::parameters::Parameters;

/// How a model is updated.
pub(crate) struct Training<'a> {
    pub(crate) optimiser: &'a Optimiser,
    pub(crate) clip_norm: Option<f64>,
    pub(crate) clip_weights: Option<f64>,
}

/// A model's variables in a graph.
pub(crate) struct Traced<'g> {
    state: Var<'g>,
    pub(crate) parameters: Parameters<'g>,
    pub(crate) states: States<'g>,
}

impl<'g> Traced<'g> {
    pub(crate) fn new(graph: &'g Graph, model: &Model, optimiser: &Optimiser) -> Traced<'g> {
        let rows = 1 + optimiser.moments().len();
        let state = graph.variable(&names::state(model.name()), [rows, model.vector_len()]);
        let parameters = model.views(first_row(state));
        let states = model
            .states()
            .iter()
            .map(|slot| {
                (slot.name.clone(), graph.variable(&names::kept(model.name(), &slot.name), slot.shape()))
            })
            .collect();
        Traced { state, parameters, states }
    }

    /// One update against `loss`. The parameters are the new ones afterwards.
    pub(crate) fn update(&mut self, model: &Model, training: &Training<'_>, loss: Var<'g>) -> Result<()> {
        self.update_by(model, training, loss, &names::scalars(model.name()))
    }

    /// The parameters in one vector.
    pub(crate) fn weights(&self) -> Var<'g> {
        first_row(self.state)
    }

    /// [`update`](Traced::update) with the numbers of the given input.
    pub(crate) fn update_by(
        &mut self,
        model: &Model,
        training: &Training<'_>,
        loss: Var<'g>,
        scalars: &str,
    ) -> Result<()> {
        if model.trained_count() == 0 {
            return Ok(());
        }
        let gradients = model.gradients(loss, &self.parameters)?;
        self.follow(model, training, scalars, || model.pack(&gradients))
    }

    /// One update along a gradient [vector_len], with the numbers of the given input. The parameters are the new ones
    /// afterwards.
    pub(crate) fn follow(
        &mut self,
        model: &Model,
        training: &Training<'_>,
        scalars: &str,
        gradient: impl FnOnce() -> Result<Var<'g>>,
    ) -> Result<()> {
        let graph = self.state.graph();
        let scalars = graph.input(scalars, [training.optimiser.scalar_count()]);
        self.state = graph.scoped(&format!("{}/optimiser", model.name()), || -> Result<Var<'g>> {
            let mut gradient = gradient()?;
            if let Some(limit) = training.clip_norm {
                gradient = clipped(gradient, limit);
            }
            let state = training.optimiser.update(self.state, gradient, scalars);
            if state.shape() != self.state.shape() {
                return Err(Error::invalid(format!(
                    "the optimiser {:?} gives a state of shape {}, expected {}",
                    training.optimiser,
                    state.shape(),
                    self.state.shape()
                )));
            }
            let state = training.clip_weights.map_or(state, |limit| clamped_weights(state, limit));
            Ok(model.keep_frozen(self.state, state))
        })?;
        // To what comes next the new parameters are constants: nothing is differentiated through an update.
        self.parameters = model.views(first_row(self.state.stop_gradient()));
        Ok(())
    }
}

impl<'g> Traced<'g> {
    /// Assigns what has changed to the model's variables.
    pub(crate) fn assign(&self, model: &Model, mut plan: PlanBuilder<'g>) -> PlanBuilder<'g> {
        let graph = self.state.graph();
        let state = graph.variable(&names::state(model.name()), self.state.shape());
        if state != self.state {
            plan = plan.assign(state, self.state);
        }
        for slot in model.states() {
            let variable = graph.variable(&names::kept(model.name(), &slot.name), slot.shape());
            if variable != self.states[&slot.name] {
                plan = plan.assign(variable, self.states[&slot.name]);
            }
        }
        plan
    }
}

/// The gradient, made shorter where its norm exceeds `limit` (Pascanu et al. 2013).
fn clipped(gradient: Var<'_>, limit: f64) -> Var<'_> {
    let norm = gradient.square().sum(&[0]).sqrt();
    let floor = gradient.graph().fill([1], limit);
    gradient * (norm.maximum(floor).reciprocal() * limit)
}

/// An optimiser's state [rows, n] with its first row, the weights, cut to [-limit, limit] (Arjovsky et al. 2017).
fn clamped_weights(state: Var<'_>, limit: f64) -> Var<'_> {
    let rows = state.shape().dims()[0];
    Var::concat(&[state.slice(0, 0, 1).clamp(-limit, limit), state.slice(0, 1, rows)], 0)
}

/// The parameters in an optimiser's state [rows, n].
pub(crate) fn first_row(state: Var<'_>) -> Var<'_> {
    let n = state.shape().dims()[1];
    state.slice(0, 0, 1).reshape([n])
}
