//! y = scale sigmoid(x) + shift: the gradient of a cross-entropy against one target.

use crate::ops::prelude::*;

/// y = `scale` sigmoid(x) + `shift`, element by element.
#[derive(Debug)]
pub struct FusedSigmoidAffine {
    /// The factor.
    pub scale: f64,
    /// What is added.
    pub shift: f64,
}

impl Operation for FusedSigmoidAffine {
    fn name(&self) -> &'static str {
        "fused_sigmoid_affine"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        elementwise::<1>(inputs)
    }

    fn decompose<'g>(&self, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let [x] = *inputs else { return None };
        Some(x.sigmoid().affine(self.scale, self.shift))
    }

    fn flops(&self, _inputs: &[Shape], output: Shape) -> u64 {
        3 * output.len() as u64
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, in_place: bool) -> Option<Launch> {
        let kernels = [shaders::FUSED_SIGMOID_AFFINE, shaders::FUSED_SIGMOID_AFFINE_IN_PLACE];
        launch::unary(kernels, [self.scale, self.shift], output, in_place)
    }

    reference!(kernels::fused_sigmoid_affine::fused_sigmoid_affine);
}
