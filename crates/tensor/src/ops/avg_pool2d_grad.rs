//! dx = dy spread evenly over each window: the adjoint of avg_pool2d.

use crate::ops::prelude::*;
use crate::ops::AvgPool2d;

/// dx = dy divided evenly over the elements of each window, summed where windows overlap.
#[derive(Debug)]
pub struct AvgPool2dGrad {
    /// Sizes of image and windows, stride and padding.
    pub geometry: Pool2dGeometry,
}

impl Operation for AvgPool2dGrad {
    fn name(&self) -> &'static str {
        "avg_pool2d_grad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let g = &self.geometry;
        let expected = [g.pooled()];
        if inputs != expected {
            return Err(Error::new(format!("expected {expected:?}, got {inputs:?}")));
        }
        Ok(g.image())
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let geometry = self.geometry;
        Ok(vec![Some(cx.cotangent.with(AvgPool2d { geometry }, &[]))])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        let g = &self.geometry;
        (g.pooled().len() * g.size_h * g.size_w) as u64
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch::pooling(shaders::AVG_POOL2D_GRAD, &self.geometry, output, &[Input(0), Output])
    }

    reference!(kernels::avg_pool2d_grad::avg_pool2d_grad);
}
