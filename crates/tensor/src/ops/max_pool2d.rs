//! y = the largest element of each window.

use crate::ops::prelude::*;
use crate::ops::MaxPool2dGrad;

/// The largest element of each window of images x [N, H, W, C]. Padding never wins.
#[derive(Debug)]
pub struct MaxPool2d {
    /// Sizes of image and windows, stride and padding.
    pub geometry: Pool2dGeometry,
}

impl Operation for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let g = &self.geometry;
        let expected = [g.image()];
        if inputs != expected {
            return Err(Error::new(format!("expected {expected:?}, got {inputs:?}")));
        }
        Ok(g.pooled())
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let geometry = self.geometry;
        Ok(vec![Some(cx.inputs[0].with(MaxPool2dGrad { geometry }, &[cx.cotangent]))])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        let g = &self.geometry;
        (g.pooled().len() * g.size_h * g.size_w) as u64
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch::pooling(shaders::MAX_POOL2D, &self.geometry, output, &[Input(0), Output])
    }

    reference!(kernels::max_pool2d::max_pool2d);
}

impl<'g> Var<'g> {
    /// The largest element of each window of these images [N, H, W, C]. Among equals the first, row by row, gets
    /// the gradient.
    ///
    /// # Panics
    /// When the windows do not fit; [`Pool2dGeometry::new`] returns that as an error.
    #[track_caller]
    pub fn max_pool2d(self, size: [usize; 2], stride: [usize; 2], padding: Padding) -> Var<'g> {
        match Pool2dGeometry::new(self.shape(), size, stride, padding) {
            Ok(geometry) => self.with(MaxPool2d { geometry }, &[]),
            Err(error) => panic!("max_pool2d: {error}"),
        }
    }
}
