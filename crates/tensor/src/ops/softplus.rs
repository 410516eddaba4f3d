//! y = ln(1 + e^x), computed as max(x, 0) + ln(1 + e^-|x|), which neither overflows nor cancels

use crate::ops::prelude::*;

/// y = ln(1 + e^x), computed as max(x, 0) + ln(1 + e^-|x|), which neither overflows nor cancels, element by element.
#[derive(Debug)]
pub struct Softplus;

impl Operation for Softplus {
    fn name(&self) -> &'static str {
        "softplus"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent * cx.inputs[0].sigmoid())])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::SOFTPLUS, shaders::SOFTPLUS_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::softplus::softplus);
}

impl<'g> Var<'g> {
    /// Softplus: ln(1 + e^x) in its stable form.
    pub fn softplus(self) -> Var<'g> {
        self.with(Softplus, &[])
    }
}
