//! The parameters of a model in a graph.

use std::collections::HashMap;

use gannet_tensor::{Var, grad};

use crate::error::Result;

/// A tensor for each parameter of a model: the parameters themselves, or their gradients. They are found by name, and
/// come in the model's own order ([`Model::parameters`](crate::Model::parameters)).
///
/// ```
/// use gannet::layers::BatchNorm;
/// use gannet::{Graph, Pass, Sequential, States};
///
/// let model = Sequential::new("m", [3]).add(BatchNorm::new()).build()?;
/// let graph = Graph::new();
/// let parameters = model.views(graph.input("weights", [model.vector_len()]));
/// let names: Vec<&str> = parameters.iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["0.batch_norm/gamma", "0.batch_norm/beta"]);
///
/// let mut states: States = model.state_inputs(&graph);
/// let y = model.trace(graph.input("x", [8, 3]), &parameters, &mut states, Pass::training())?;
/// let gradients = parameters.gradients(y.square().sum_all())?;
/// assert_eq!(model.pack(&gradients)?.shape().dims(), [model.vector_len()]);
/// # Ok::<(), gannet::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Parameters<'g> {
    entries: Vec<(String, Var<'g>)>,
    positions: HashMap<String, usize>,
}

impl<'g> Parameters<'g> {
    /// None yet.
    pub fn new() -> Parameters<'g> {
        Parameters::default()
    }

    /// The tensor of the parameter of that name, `2.batch_norm/gamma`.
    pub fn get(&self, name: &str) -> Option<Var<'g>> {
        self.positions.get(name).map(|position| self.entries[*position].1)
    }

    /// Gives the parameter of that name another tensor; a new name goes behind the others.
    pub fn set(&mut self, name: impl Into<String>, tensor: Var<'g>) {
        let name = name.into();
        match self.positions.get(&name) {
            Some(position) => self.entries[*position].1 = tensor,
            None => {
                self.positions.insert(name.clone(), self.entries.len());
                self.entries.push((name, tensor));
            }
        }
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Var<'g>)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), *tensor))
    }

    /// The tensors, in order: what [`grad`] takes.
    pub fn tensors(&self) -> Vec<Var<'g>> {
        self.entries.iter().map(|(_, tensor)| *tensor).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The gradient of the scalar `loss` with respect to each of them, under the same name. Errors when `loss` is not a
    /// scalar or does not depend on one of them.
    pub fn gradients(&self, loss: Var<'g>) -> Result<Parameters<'g>> {
        let gradients = grad(loss, &self.tensors())?;
        Ok(self.entries.iter().map(|(name, _)| name.clone()).zip(gradients).collect())
    }
}

impl<'g, N: Into<String>> FromIterator<(N, Var<'g>)> for Parameters<'g> {
    fn from_iter<I: IntoIterator<Item = (N, Var<'g>)>>(entries: I) -> Parameters<'g> {
        let mut parameters = Parameters::new();
        for (name, tensor) in entries {
            parameters.set(name, tensor);
        }
        parameters
    }
}
