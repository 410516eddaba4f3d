//! y = e^x

use crate::ops::prelude::*;

/// y = e^x, element by element.
#[derive(Debug)]
pub struct Exp;

impl Operation for Exp {
    fn name(&self) -> &'static str {
        "exp"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent * cx.output)])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::EXP, shaders::EXP_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::exp::exp);
}

impl<'g> Var<'g> {
    /// Exponential.
    pub fn exp(self) -> Var<'g> {
        self.with(Exp, &[])
    }
}
