//! y = x, with a derivative of zero.

use crate::ops::prelude::*;

/// y = x, with a derivative of zero. A view: it costs nothing.
#[derive(Debug)]
pub struct StopGradient;

impl Operation for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, _cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![None])
    }

    fn view(&self, _inputs: &[Shape]) -> Option<usize> {
        Some(0)
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    reference!(kernels::stop_gradient::stop_gradient);
}

impl<'g> Var<'g> {
    /// The same value, as a constant to differentiation.
    pub fn stop_gradient(self) -> Var<'g> {
        self.with(StopGradient, &[])
    }
}
