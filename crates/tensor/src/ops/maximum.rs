//! y = max(a, b), with broadcasting.

use crate::ops::prelude::*;

/// y = max(a, b), element by element, with NumPy broadcasting.
#[derive(Debug)]
pub struct Maximum;

impl Operation for Maximum {
    fn name(&self) -> &'static str {
        "maximum"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [a, b] = arity(inputs)?;
        Shape::broadcast(a, b)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        // Where both are equal the gradient goes to b.
        let (a, b, c) = (cx.inputs[0], cx.inputs[1], cx.cotangent);
        let mask = a.greater(b);
        Ok(vec![
            cx.want(0, || (c * mask).sum_to(a.shape())),
            cx.want(1, || (c * mask.affine(-1.0, 1.0)).sum_to(b.shape())),
        ])
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch::binary([shaders::MAXIMUM, shaders::MAXIMUM_BROADCAST], inputs, output)
    }

    reference!(kernels::maximum::maximum);
}

impl<'g> Var<'g> {
    /// The larger of two tensors, with broadcasting. Where both are equal, the gradient goes to `other`.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn maximum(self, other: Var<'g>) -> Var<'g> {
        self.with(Maximum, &[other])
    }
}
