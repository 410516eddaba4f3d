//! A multiple of the sum of the binary cross-entropy on logits: a loss in one operation.

use crate::ops::prelude::*;

/// `scale` times the sum over all elements of [`BceLogits`](super::BceLogits). Inputs: x, t; output a scalar.
#[derive(Debug)]
pub struct FusedBceSum {
    /// What the sum is multiplied by; 1 / N makes it a mean.
    pub scale: f64,
}

impl Operation for FusedBceSum {
    fn name(&self) -> &'static str {
        "fused_bce_sum"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<2>(inputs)?;
        Ok(Shape::SCALAR)
    }

    fn decompose<'g>(&self, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let [x, t] = *inputs else { return None };
        Some(x.bce_logits(t).sum_all().affine(self.scale, 0.0))
    }

    fn flops(&self, inputs: &[Shape], _output: Shape) -> u64 {
        4 * inputs[0].len() as u64
    }

    fn launch(&self, inputs: &[Shape], _output: Shape, _in_place: bool) -> Option<Launch> {
        let params = shaders::FusedBceSumParams { count: size(inputs[0].len()), scale: self.scale as f32 };
        let arguments = [Input(0), Input(1), Output];
        Some(Dispatch::new(shaders::FUSED_BCE_SUM, &params, [1, 1, 1], &arguments).into())
    }

    reference!(kernels::fused_bce_sum::fused_bce_sum);
}
