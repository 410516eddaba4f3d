//! y = x^2

use crate::ops::prelude::*;

/// y = x^2, element by element.
#[derive(Debug)]
pub struct Square;

impl Operation for Square {
    fn name(&self) -> &'static str {
        "square"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent * cx.inputs[0] * 2.0)])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::SQUARE, shaders::SQUARE_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::square::square);
}

impl<'g> Var<'g> {
    /// Square.
    pub fn square(self) -> Var<'g> {
        self.with(Square, &[])
    }
}
