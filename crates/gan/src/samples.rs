//! Batches for a single model.

use gannet_tensor::{Element, Shape};

use crate::error::{Error, Result};
use crate::model::Model;

/// A batch for a [`Compiled`](crate::Compiled) model: samples [n, input], row-major, and what layers take beside them.
/// A slice is a batch for a model with one input.
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
        let mut inputs = vec![(model.input().len(), self.x)];
        for (name, shape) in model.inputs() {
            let found = self.further.iter().find(|(given, _)| given == name);
            let Some((_, values)) = found else {
                return Err(Error::invalid(format!(
                    "{}: a layer takes the input '{name}' of shape {shape}, which was not given (Samples::with)",
                    model.name()
                )));
            };
            if values.len() != n * shape.len() {
                return Err(Error::invalid(format!(
                    "{}: {n} samples take {} numbers for the input '{name}' of shape {shape}, got {}",
                    model.name(),
                    n * shape.len(),
                    values.len()
                )));
            }
            inputs.push((shape.len(), *values));
        }
        if let Some((name, _)) =
            self.further.iter().find(|(name, _)| model.inputs().iter().all(|(n, _)| n != name))
        {
            return Err(Error::invalid(format!("{}: no layer takes an input '{name}'", model.name())));
        }
        Ok(Checked { n, inputs })
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

/// The shape of `n` samples.
pub(crate) fn samples(n: usize, sample: Shape) -> Result<Shape> {
    let dims: Vec<usize> = std::iter::once(n).chain(sample.dims().iter().copied()).collect();
    Ok(Shape::new(&dims)?)
}
