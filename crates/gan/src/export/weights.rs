//! The weights of a part of a GAN, by the names they have in files.

use gannet_tensor::{Backend, Element};

use super::Part;
use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::names;

/// The tensors of a part: weights, running statistics, vectors of power iterations; the generator's averages where
/// there are any.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl Weights {
    pub(crate) fn of<B: Backend>(gan: &Gan<B>, part: Part) -> Result<Weights> {
        let prefix = prefix(gan, part);
        let named: Vec<(String, Vec<usize>)> = gan
            .tensors()
            .filter_map(|(name, shape)| Some((name.strip_prefix(&prefix)?.to_owned(), shape.dims().to_vec())))
            .collect();
        let mut tensors = Vec::with_capacity(named.len());
        for (name, shape) in named {
            let values = gan.read_tensor(&format!("{prefix}{name}"))?;
            tensors.push((name, shape, values.into_iter().map(|x| x.to_f64() as f32).collect()));
        }
        Ok(Weights { tensors })
    }

    /// Name within the part, shape and values of each tensor, sorted by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[usize], &[f32])> {
        self.tensors.iter().map(|(name, shape, values)| (name.as_str(), shape.as_slice(), values.as_slice()))
    }

    pub(crate) fn get(&self, name: &str) -> Result<&[f32]> {
        self.iter()
            .find_map(|(other, _, values)| (other == name).then_some(values))
            .ok_or_else(|| Error::invalid(format!("there is no tensor '{name}'")))
    }
}

/// What stands before the names of a part's tensors.
pub(crate) fn prefix<B: Backend>(gan: &Gan<B>, part: Part) -> String {
    let prefix = format!("{part}/");
    if part == Part::Generator && gan.config().ema.is_some() { names::average(&prefix) } else { prefix }
}
