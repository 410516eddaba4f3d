//! dx = dy for y > 0, dy (y + alpha) otherwise: the vjp of elu, in terms of its output.

use crate::ops::elu::check_alpha;
use crate::ops::prelude::*;

/// dx = dy for y > 0, dy (y + `alpha`) otherwise, for y = elu(x). Inputs: y, dy. Linear in dy.
#[derive(Debug)]
pub struct EluGrad {
    /// That of the forward operation.
    pub alpha: f64,
}

impl Operation for EluGrad {
    fn name(&self) -> &'static str {
        "elu_grad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        check_alpha(self.alpha)?;
        elementwise::<2>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (y, dy, c) = (cx.inputs[0], cx.inputs[1], cx.cotangent);
        // With respect to y: c dy where y is not above 0.
        let by_y = || y.leaky_relu_grad(c * dy, 0.0).affine(-1.0, 0.0) + c * dy;
        Ok(vec![cx.want(0, by_y), cx.want(1, || y.elu_grad(c, self.alpha))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(1)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::cotangent(
            [shaders::ELU_GRAD, shaders::ELU_GRAD_IN_PLACE],
            [self.alpha, 0.0],
            output,
            in_place,
        )
    }

    reference!(kernels::elu_grad::elu_grad);
}

impl<'g> Var<'g> {
    /// The vjp of [`elu`](Var::elu) where `self` is its output.
    #[track_caller]
    pub fn elu_grad(self, dy: Var<'g>, alpha: f64) -> Var<'g> {
        self.with(EluGrad { alpha }, &[dy])
    }
}
