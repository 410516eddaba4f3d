//! y = x (1 + erf(x / sqrt(2))) / 2

use crate::ops::normal_cdf::normal_density;
use crate::ops::prelude::*;

/// y = x (1 + erf(x / sqrt(2))) / 2, element by element: GELU without approximation (Hendrycks and Gimpel 2016).
#[derive(Debug)]
pub struct Gelu;

impl Operation for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        // y' = cdf(x) + x density(x)
        let x = cx.inputs[0];
        Ok(vec![Some(cx.cotangent * (x.normal_cdf() + x * normal_density(x)))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::GELU, shaders::GELU_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::gelu::gelu);
}

impl<'g> Var<'g> {
    /// GELU: x times the share of a standard normal distribution below x, without approximation.
    pub fn gelu(self) -> Var<'g> {
        self.with(Gelu, &[])
    }
}
