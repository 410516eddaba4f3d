//! Samples with what layers take beside them.

use gannet_tensor::{Element, Graph, Shape};

use crate::error::{Error, Result};
use crate::layer::Inputs;
use crate::model::Model;
use crate::names;

/// Samples [n, shape], row-major, and what layers take beside them: a batch for a [`Compiled`](crate::Compiled) model, the
/// real images of a step of a [`Gan`](crate::Gan), or the latents that it draws from. A slice is enough where no layer takes
/// more.
///
/// ```
/// use gannet::layers::{ConcatInput, Dense};
/// use gannet::{Adam, Objective, Reference, Samples, Sequential};
///
/// let model = Sequential::new("m", [2]).add(ConcatInput::new("angle", [1])).add(Dense::new(1));
/// let mut model = model.compile(&Reference::<f32>::new(), Objective::MeanSquaredError, Adam::new(0.1))?;
/// let (points, angles) = ([0.5, 0.25, 1.0, -1.0], [0.1, 0.2]);
/// let y = model.predict(Samples::new(&points).with("angle", &angles))?;
/// assert_eq!(y.len(), 2);
/// # Ok::<(), gannet::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Samples<'a, E> {
    x: &'a [E],
    further: Vec<(&'a str, &'a [E])>,
}

impl<'a, E> Samples<'a, E> {
    /// Samples [n, input], row-major.
    pub fn new(x: &'a [E]) -> Samples<'a, E> {
        Samples { x, further: Vec::new() }
    }

    /// Adds the numbers [n, shape] of the further input `name`.
    #[must_use]
    pub fn with(mut self, name: &'a str, values: &'a [E]) -> Samples<'a, E> {
        self.further.push((name, values));
        self
    }
}

impl<'a, E> Samples<'a, E> {
    /// The samples, without what layers take beside them.
    pub(crate) fn x(&self) -> &'a [E] {
        self.x
    }

    /// Part `at` of `count` equal ones.
    pub(crate) fn part(&self, at: usize, count: usize) -> Samples<'a, E> {
        let further = self.further.iter().map(|(name, values)| (*name, part(values, at, count))).collect();
        Samples { x: part(self.x, at, count), further }
    }
}

/// Part `at` of `count` equal ones.
pub(crate) fn part<T>(whole: &[T], at: usize, count: usize) -> &[T] {
    let len = whole.len() / count;
    &whole[at * len..(at + 1) * len]
}

impl<'a, E> From<&'a [E]> for Samples<'a, E> {
    fn from(x: &'a [E]) -> Samples<'a, E> {
        Samples::new(x)
    }
}

impl<'a, E> From<&'a Vec<E>> for Samples<'a, E> {
    fn from(x: &'a Vec<E>) -> Samples<'a, E> {
        Samples::new(x)
    }
}

impl<'a, E, const N: usize> From<&'a [E; N]> for Samples<'a, E> {
    fn from(x: &'a [E; N]) -> Samples<'a, E> {
        Samples::new(x)
    }
}

/// The inputs of a batch in the order of a model: the length of a sample, and the numbers.
#[derive(Clone, Debug)]
pub(crate) struct Checked<'a, E> {
    pub(crate) n: usize,
    pub(crate) inputs: Vec<(usize, &'a [E])>,
}

impl<'a, E: Element> Samples<'a, E> {
    /// The inputs that `model` takes. Errors when one is missing, is not the model's, or has not as many samples.
    pub(crate) fn check(&self, model: &Model) -> Result<Checked<'a, E>> {
        let n = batch(model, self.x.len())?;
        let further = self.further(model.name(), model.inputs(), n)?;
        let lengths = model.inputs().iter().map(|(_, shape)| shape.len());
        let inputs = std::iter::once((model.input().len(), self.x)).chain(lengths.zip(further)).collect();
        Ok(Checked { n, inputs })
    }

    /// The numbers of the further `inputs`, in their order, for `n` samples. Errors, in the name of `model`, when one is
    /// missing, is none of them, or has not as many samples.
    pub(crate) fn further(&self, model: &str, inputs: &[(String, Shape)], n: usize) -> Result<Vec<&'a [E]>> {
        let mut further = Vec::with_capacity(inputs.len());
        for (name, shape) in inputs {
            let found = self.further.iter().find(|(given, _)| given == name);
            let Some((_, values)) = found else {
                return Err(Error::invalid(format!(
                    "{model}: a layer takes the input '{name}' of shape {shape}, which was not given (Samples::with)"
                )));
            };
            if values.len() != n * shape.len() {
                return Err(Error::invalid(format!(
                    "{model}: {n} samples take {} numbers for the input '{name}' of shape {shape}, got {}",
                    n * shape.len(),
                    values.len()
                )));
            }
            further.push(*values);
        }
        if let Some((name, _)) = self.further.iter().find(|(name, _)| inputs.iter().all(|(n, _)| n != name)) {
            return Err(Error::invalid(format!("{model}: no layer takes an input '{name}'")));
        }
        Ok(further)
    }
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

/// The inputs of a graph for what layers take beside `n` samples.
pub(crate) fn inputs<'g>(graph: &'g Graph, further: &[(String, Shape)], n: usize) -> Result<Inputs<'g>> {
    let input = |(name, shape): &(String, Shape)| {
        Ok((name.clone(), graph.input(&names::further(name), samples(n, *shape)?)))
    };
    further.iter().map(input).collect()
}

/// The shape of `n` samples.
pub(crate) fn samples(n: usize, sample: Shape) -> Result<Shape> {
    let dims: Vec<usize> = std::iter::once(n).chain(sample.dims().iter().copied()).collect();
    Ok(Shape::new(&dims)?)
}
