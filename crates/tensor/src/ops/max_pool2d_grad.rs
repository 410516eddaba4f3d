//! dx = dy at the largest element of each window: the vjp of max_pool2d.

use crate::ops::prelude::*;
use crate::ops::MaxPool2dGather;

/// dx = dy at the first largest element of each window of x, summed where windows overlap. Inputs: x, dy.
/// Linear in dy.
#[derive(Debug)]
pub struct MaxPool2dGrad {
    /// Sizes of image and windows, stride and padding.
    pub geometry: Pool2dGeometry,
}

impl Operation for MaxPool2dGrad {
    fn name(&self) -> &'static str {
        "max_pool2d_grad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let g = &self.geometry;
        let expected = [g.image(), g.pooled()];
        if inputs != expected {
            return Err(Error::new(format!("expected {expected:?}, got {inputs:?}")));
        }
        Ok(g.image())
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let geometry = self.geometry;
        let ddy = || cx.inputs[0].with(MaxPool2dGather { geometry }, &[cx.cotangent]);
        Ok(vec![None, cx.want(1, ddy)])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        let g = &self.geometry;
        (g.pooled().len() * g.size_h * g.size_w) as u64
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch::pooling(shaders::MAX_POOL2D_GRAD, &self.geometry, output, &[Input(0), Input(1), Output])
    }

    reference!(kernels::max_pool2d_grad::max_pool2d_grad);
}
