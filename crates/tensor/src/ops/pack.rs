//! y = the inputs, flattened, at given offsets of one vector; zeros between them.

use crate::ops::prelude::*;

/// The inputs, flattened, at given offsets of a vector with zeros between them: how the gradients of a
/// model become one tensor for its optimiser.
#[derive(Debug)]
pub struct Pack {
    /// Where each input starts, ascending and without overlap.
    pub offsets: Vec<usize>,
    /// The length of the output.
    pub len: usize,
}

impl Operation for Pack {
    fn name(&self) -> &'static str {
        "pack"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let ends = std::iter::once(0).chain(self.offsets.iter().zip(inputs).map(|(o, x)| o + x.len()));
        let starts = self.offsets.iter().copied().chain([self.len]);
        if self.offsets.len() != inputs.len() || !ends.zip(starts).all(|(end, start)| end <= start) {
            let (offsets, len) = (&self.offsets, self.len);
            return Err(Error::new(format!("{inputs:?} do not fit at {offsets:?} of a vector of {len}")));
        }
        Shape::new(&[self.len])
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let piece = |(x, &start): (&Var<'g>, &usize)| {
            cx.cotangent.slice(0, start, start + x.shape().len()).reshape(x.shape())
        };
        Ok(cx.inputs.iter().zip(&self.offsets).map(piece).map(Some).collect())
    }

    fn pieces(&self, _inputs: &[Shape], _output: Shape) -> Option<Vec<usize>> {
        Some(self.offsets.clone())
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    reference!(kernels::pack::pack);
}

impl<'g> Var<'g> {
    /// The tensors, flattened, at `offsets` of a vector of `len` elements, with zeros between them.
    ///
    /// # Panics
    /// When there are no tensors, or they overlap or do not fit.
    #[track_caller]
    pub fn pack(parts: &[Var<'g>], offsets: &[usize], len: usize) -> Var<'g> {
        let [first, rest @ ..] = parts else { panic!("pack: expected at least one tensor") };
        first.with(Pack { offsets: offsets.to_vec(), len }, rest)
    }
}
