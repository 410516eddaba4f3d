//! y = |x|

use crate::ops::prelude::*;

/// y = |x|, element by element.
#[derive(Debug)]
pub struct Abs;

impl Operation for Abs {
    fn name(&self) -> &'static str {
        "abs"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent * cx.inputs[0].sign())])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::ABS, shaders::ABS_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::abs::abs);
}

impl<'g> Var<'g> {
    /// Absolute value. The derivative at 0 is taken as 0.
    pub fn abs(self) -> Var<'g> {
        self.with(Abs, &[])
    }
}
