//! y = c at the largest element of each window of x: the adjoint of max_pool2d_grad.

use crate::ops::prelude::*;
use crate::ops::MaxPool2dGrad;

/// y = c at the position of the first largest element of each window of x. Inputs: x, c. Linear in c.
#[derive(Debug)]
pub struct MaxPool2dGather {
    /// Sizes of image and windows, stride and padding.
    pub geometry: Pool2dGeometry,
}

impl Operation for MaxPool2dGather {
    fn name(&self) -> &'static str {
        "max_pool2d_gather"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let g = &self.geometry;
        let expected = [g.image(), g.image()];
        if inputs != expected {
            return Err(Error::new(format!("expected {expected:?}, got {inputs:?}")));
        }
        Ok(g.pooled())
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let geometry = self.geometry;
        Ok(vec![None, cx.want(1, || cx.inputs[0].with(MaxPool2dGrad { geometry }, &[cx.cotangent]))])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        let g = &self.geometry;
        (g.pooled().len() * g.size_h * g.size_w) as u64
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch::pooling(shaders::MAX_POOL2D_GATHER, &self.geometry, output, &[Input(0), Output, Input(1)])
    }

    reference!(kernels::max_pool2d_gather::max_pool2d_gather);
}
