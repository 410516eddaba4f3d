//! The same elements, in the same order, under another shape.

use crate::ops::prelude::*;

/// The same elements under another shape. A view: it costs nothing.
#[derive(Debug)]
pub struct Reshape {
    /// The shape of the output.
    pub shape: Shape,
}

impl Operation for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        if x.len() != self.shape.len() {
            let (from, to) = (x.len(), self.shape.len());
            return Err(Error::new(format!("{x} has {from} elements, {} has {to}", self.shape)));
        }
        Ok(self.shape)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent.reshape(cx.inputs[0].shape()))])
    }

    fn view(&self, _inputs: &[Shape]) -> Option<usize> {
        Some(0)
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    reference!(kernels::reshape::reshape);
}

impl<'g> Var<'g> {
    /// The same elements, in the same order, under another shape.
    ///
    /// # Panics
    /// When `shape` has another number of elements.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        match self.filled() {
            _ if self.shape() == shape => self,
            Some(value) if self.shape().len() == shape.len() => self.graph().fill(shape, value),
            _ => self.with(Reshape { shape }, &[]),
        }
    }
}
