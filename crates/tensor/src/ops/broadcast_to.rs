//! y = x stretched along axes of one element, by the rules of NumPy.

use crate::ops::prelude::*;

/// x stretched to `shape`, by the rules of NumPy.
#[derive(Debug)]
pub struct BroadcastTo {
    /// The shape of the output.
    pub shape: Shape,
}

impl Operation for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        if !x.broadcasts_to(self.shape) {
            return Err(Error::new(format!("{x} does not broadcast to {}", self.shape)));
        }
        Ok(self.shape)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent.sum_to(cx.inputs[0].shape()))])
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let (from, to) = (inputs[0].broadcast_strides(output), output.strides());
        Some(launch::copy(Input(0), output.dims(), &from, &to, [0, 0]).into())
    }

    reference!(kernels::broadcast_to::broadcast_to);
}

impl<'g> Var<'g> {
    /// This tensor stretched to `shape`, by the rules of NumPy.
    ///
    /// # Panics
    /// When the shape does not broadcast to `shape`.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        match self.filled() {
            _ if self.shape() == shape => self,
            Some(value) if self.shape().broadcasts_to(shape) => self.graph().fill(shape, value),
            _ => self.with(BroadcastTo { shape }, &[]),
        }
    }
}
