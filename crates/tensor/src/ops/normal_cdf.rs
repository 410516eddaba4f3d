//! y = (1 + erf(x / sqrt(2))) / 2: the distribution function of the standard normal distribution

use crate::ops::prelude::*;

/// y = (1 + erf(x / sqrt(2))) / 2, element by element: the share of a standard normal distribution below x.
#[derive(Debug)]
pub struct NormalCdf;

impl Operation for NormalCdf {
    fn name(&self) -> &'static str {
        "normal_cdf"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        Ok(vec![Some(cx.cotangent * normal_density(cx.inputs[0]))])
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        launch::unary([shaders::NORMAL_CDF, shaders::NORMAL_CDF_IN_PLACE], [0.0; 2], output, in_place)
    }

    reference!(kernels::normal_cdf::normal_cdf);
}

/// e^(-x^2 / 2) / sqrt(2 pi)
pub(super) fn normal_density(x: Var<'_>) -> Var<'_> {
    x.square().affine(-0.5, -0.5 * std::f64::consts::TAU.ln()).exp()
}

impl<'g> Var<'g> {
    /// The distribution function of the standard normal distribution: (1 + erf(x / sqrt(2))) / 2.
    pub fn normal_cdf(self) -> Var<'g> {
        self.with(NormalCdf, &[])
    }
}
