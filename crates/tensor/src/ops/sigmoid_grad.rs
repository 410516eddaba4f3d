//! dx = dy y (1 - y): the vjp of sigmoid, in terms of its output.

use crate::ops::prelude::*;

/// dx = dy y (1 - y) for y = sigmoid(x). Inputs: y, dy.
#[derive(Debug)]
pub struct SigmoidGrad;

impl Operation for SigmoidGrad {
    fn name(&self) -> &'static str {
        "sigmoid_grad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<2>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (y, dy, c) = (cx.inputs[0], cx.inputs[1], cx.cotangent);
        Ok(vec![cx.want(0, || c * dy * y.affine(-2.0, 1.0)), cx.want(1, || y.sigmoid_grad(c))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(1)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::cotangent([shaders::SIGMOID_GRAD, shaders::SIGMOID_GRAD_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::sigmoid_grad::sigmoid_grad);
}

impl<'g> Var<'g> {
    /// The vjp of sigmoid where `self` is its output: dy y (1 - y).
    #[track_caller]
    pub fn sigmoid_grad(self, dy: Var<'g>) -> Var<'g> {
        self.with(SigmoidGrad, &[dy])
    }
}
