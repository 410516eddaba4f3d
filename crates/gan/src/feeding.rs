//! Programs and the numbers that they are given.

use gannet_tensor::{Backend, Element, Program};

use crate::error::Result;
use crate::names;

/// Samples that [`images_of`] makes at a time: those of the program that it runs.
pub(crate) const CHUNK: usize = 64;

/// Writes an input if the program reads it at all: what no layer needs is not part of a plan.
pub(crate) fn write_if_read<B: Backend>(
    program: &mut Program<B>,
    name: &str,
    values: &[B::Element],
) -> Result<()> {
    if program.has_input(name) {
        program.write(name, values)?;
    }
    Ok(())
}

/// The images of `n` samples, of `pixels` numbers each, by a program that makes [`CHUNK`] of them. `inputs` are what it is
/// given, [n, ..] each, by name.
pub(crate) fn images_of<B: Backend>(
    program: &mut Program<B>,
    n: usize,
    inputs: &[(&str, &[B::Element])],
    pixels: usize,
) -> Result<Vec<B::Element>> {
    // The numbers that an input has for a sample, and those of a chunk.
    let width = |values: &[B::Element]| values.len().checked_div(n).unwrap_or(0);
    let mut chunks: Vec<Vec<B::Element>> =
        inputs.iter().map(|(_, values)| vec![B::Element::ZERO; CHUNK * width(values)]).collect();
    let mut images = Vec::with_capacity(n * pixels);
    let mut made = vec![B::Element::ZERO; CHUNK * pixels];
    for start in (0..n).step_by(CHUNK) {
        let count = CHUNK.min(n - start);
        for ((name, values), chunk) in inputs.iter().zip(&mut chunks) {
            let width = width(values);
            chunk[..count * width].copy_from_slice(&values[start * width..(start + count) * width]);
            program.write(name, chunk)?;
        }
        program.run()?;
        program.read_into(names::IMAGES, &mut made)?;
        images.extend_from_slice(&made[..count * pixels]);
    }
    Ok(images)
}
