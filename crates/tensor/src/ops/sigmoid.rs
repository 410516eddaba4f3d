//! y = 1 / (1 + e^-x)

use crate::ops::prelude::*;

/// y = 1 / (1 + e^-x), element by element, without overflow at either end.
#[derive(Debug)]
pub struct Sigmoid;

impl Operation for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.output.sigmoid_grad(cx.cotangent))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::SIGMOID, shaders::SIGMOID_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::sigmoid::sigmoid);
}

impl<'g> Var<'g> {
    /// Logistic sigmoid.
    pub fn sigmoid(self) -> Var<'g> {
        self.with(Sigmoid, &[])
    }
}
