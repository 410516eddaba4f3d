//! w = the correlation of images x with features y: the adjoint of conv2d in its kernel.

use crate::ops::prelude::*;
use crate::ops::{Conv2d, ConvTranspose2d};

/// w = correlation of images x with features y: the adjoint of [`Conv2d`](super::Conv2d) in its kernel.
///
/// x [N, H, W, C_in], y [N, H', W', C_out], w [Kh, Kw, C_in, C_out].
#[derive(Debug)]
pub struct Conv2dWeightGrad {
    /// Sizes of image, kernel and features, stride and padding.
    pub geometry: Conv2dGeometry,
}

impl Operation for Conv2dWeightGrad {
    fn name(&self) -> &'static str {
        "conv2d_weight_grad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let g = &self.geometry;
        let expected = [g.image(), g.features()];
        if inputs != expected {
            return Err(Error::new(format!("expected {expected:?}, got {inputs:?}")));
        }
        Ok(g.kernel())
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (x, y, c, geometry) = (cx.inputs[0], cx.inputs[1], cx.cotangent, self.geometry);
        let dx = cx.want(0, || y.with(ConvTranspose2d { geometry }, &[c]));
        let dy = cx.want(1, || x.with(Conv2d { geometry }, &[c]));
        Ok(vec![dx, dy])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        self.geometry.flops()
    }

    reference!(kernels::conv2d_weight_grad::conv2d_weight_grad);
}
