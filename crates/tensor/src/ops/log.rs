//! y = ln(x)

use crate::ops::prelude::*;

/// y = ln(x), element by element.
#[derive(Debug)]
pub struct Log;

impl Operation for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent / cx.inputs[0])])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::LOG, shaders::LOG_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::log::log);
}

impl<'g> Var<'g> {
    /// Natural logarithm; negative infinity at 0.
    pub fn log(self) -> Var<'g> {
        self.with(Log, &[])
    }
}
