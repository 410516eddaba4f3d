//! y = -1, 0 or 1, as x is negative, zero or positive.

use crate::ops::prelude::*;

/// y = -1, 0 or 1, element by element. Its derivative is zero.
#[derive(Debug)]
pub struct Sign;

impl Operation for Sign {
    fn name(&self) -> &'static str {
        "sign"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, _cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![None])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::SIGN, shaders::SIGN_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::sign::sign);
}

impl<'g> Var<'g> {
    /// Sign: -1, 0 or 1.
    pub fn sign(self) -> Var<'g> {
        self.with(Sign, &[])
    }
}
