//! y = sqrt(x)

use crate::ops::prelude::*;

/// y = sqrt(x), element by element.
#[derive(Debug)]
pub struct Sqrt;

impl Operation for Sqrt {
    fn name(&self) -> &'static str {
        "sqrt"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent * cx.output.reciprocal() * 0.5)])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::SQRT, shaders::SQRT_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::sqrt::sqrt);
}

impl<'g> Var<'g> {
    /// Square root. The derivative at 0 is infinite: keep a positive eps under the root.
    pub fn sqrt(self) -> Var<'g> {
        self.with(Sqrt, &[])
    }
}
