//! dx = dy (1 - y^2): the vjp of tanh, in terms of its output.

use crate::ops::prelude::*;

/// dx = dy (1 - y^2) for y = tanh(x). Inputs: y, dy.
#[derive(Debug)]
pub struct TanhGrad;

impl Operation for TanhGrad {
    fn name(&self) -> &'static str {
        "tanh_grad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<2>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (y, dy, c) = (cx.inputs[0], cx.inputs[1], cx.cotangent);
        Ok(vec![cx.want(0, || c * dy * y * -2.0), cx.want(1, || y.tanh_grad(c))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(1)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::cotangent([shaders::TANH_GRAD, shaders::TANH_GRAD_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::tanh_grad::tanh_grad);
}

impl<'g> Var<'g> {
    /// The vjp of tanh where `self` is its output: dy (1 - y^2).
    #[track_caller]
    pub fn tanh_grad(self, dy: Var<'g>) -> Var<'g> {
        self.with(TanhGrad, &[dy])
    }
}
