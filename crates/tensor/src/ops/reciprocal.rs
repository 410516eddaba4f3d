//! y = 1 / x

use crate::ops::prelude::*;

/// y = 1 / x, element by element.
#[derive(Debug)]
pub struct Reciprocal;

impl Operation for Reciprocal {
    fn name(&self) -> &'static str {
        "reciprocal"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(-(cx.cotangent * cx.output.square()))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::RECIPROCAL, shaders::RECIPROCAL_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::reciprocal::reciprocal);
}

impl<'g> Var<'g> {
    /// Reciprocal.
    pub fn reciprocal(self) -> Var<'g> {
        self.with(Reciprocal, &[])
    }
}
