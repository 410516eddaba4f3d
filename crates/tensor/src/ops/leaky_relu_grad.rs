//! dx = dy for y > 0, negative_slope * dy otherwise: the vjp of leaky_relu, in terms of its output.

use crate::ops::leaky_relu::check_slope;
use crate::ops::prelude::*;

/// dx = dy for y > 0, `negative_slope` dy otherwise, for y = leaky_relu(x). Inputs: y, dy. Linear in dy.
#[derive(Debug)]
pub struct LeakyReluGrad {
    /// The slope of the forward operation.
    pub negative_slope: f64,
}

impl Operation for LeakyReluGrad {
    fn name(&self) -> &'static str {
        "leaky_relu_grad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        check_slope(self.negative_slope)?;
        elementwise::<2>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![None, cx.want(1, || cx.inputs[0].leaky_relu_grad(cx.cotangent, self.negative_slope))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(1)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::cotangent([shaders::LEAKY_RELU_GRAD, shaders::LEAKY_RELU_GRAD_IN_PLACE], [self.negative_slope, 0.0], output, in_place)
    }

    reference!(kernels::leaky_relu_grad::leaky_relu_grad);
}

impl<'g> Var<'g> {
    /// The vjp of [`leaky_relu`](Var::leaky_relu) where `self` is its output.
    #[track_caller]
    pub fn leaky_relu_grad(self, dy: Var<'g>, negative_slope: f64) -> Var<'g> {
        self.with(LeakyReluGrad { negative_slope }, &[dy])
    }
}
