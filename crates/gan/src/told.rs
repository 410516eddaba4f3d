//! What networks are told of the images of a batch.

use gannet_tensor::{Backend, Element, Program, Shape};

use crate::error::Result;
use crate::feeding::write_if_read;
use crate::names;
use crate::samples::Samples;

/// What networks are told of the images of a batch, of real and generated ones alike: the number i of it belongs to the
/// real image i and to the generated image i.
pub(crate) struct Told<E> {
    /// The classes `[n]`; empty for models without.
    pub(crate) labels: Vec<E>,
    /// Further inputs [n, shape], by the names that programs have for them.
    further: Vec<(String, Vec<E>)>,
}

impl<E: Element> Told<E> {
    /// These labels, and the further `inputs` that stand beside the `n` images. Errors, in the name of `model`, when one is
    /// missing, is none of them, or has not as many samples.
    pub(crate) fn new(
        labels: Vec<E>,
        images: &Samples<'_, E>,
        model: &str,
        inputs: &[(String, Shape)],
        n: usize,
    ) -> Result<Told<E>> {
        let values = images.further(model, inputs, n)?;
        let names = inputs.iter().map(|(name, _)| names::further(name));
        Ok(Told { labels, further: names.zip(values.into_iter().map(<[E]>::to_vec)).collect() })
    }

    /// Writes what the program reads of it.
    pub(crate) fn write<B: Backend<Element = E>>(&self, program: &mut Program<B>) -> Result<()> {
        write_if_read(program, names::LABELS, &self.labels)?;
        self.further.iter().try_for_each(|(name, values)| write_if_read(program, name, values))
    }
}
