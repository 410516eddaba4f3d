//! y = tanh(x)

use crate::ops::prelude::*;

/// y = tanh(x), element by element.
#[derive(Debug)]
pub struct Tanh;

impl Operation for Tanh {
    fn name(&self) -> &'static str {
        "tanh"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.output.tanh_grad(cx.cotangent))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::TANH, shaders::TANH_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::tanh::tanh);
}

impl<'g> Var<'g> {
    /// Hyperbolic tangent.
    pub fn tanh(self) -> Var<'g> {
        self.with(Tanh, &[])
    }
}
