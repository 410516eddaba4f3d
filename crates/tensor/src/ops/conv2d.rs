//! y = the convolution of images x with a kernel w.

use crate::ops::prelude::*;
use crate::ops::{ConvTranspose2d, Conv2dWeightGrad};

/// y = convolution (cross-correlation, as everywhere in this field) of images x with a kernel w.
///
/// x [N, H, W, C_in], w [Kh, Kw, C_in, C_out], y [N, H', W', C_out].
#[derive(Debug)]
pub struct Conv2d {
    /// Sizes of image, kernel and features, stride and padding.
    pub geometry: Conv2dGeometry,
}

impl Operation for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let g = &self.geometry;
        let expected = [g.image(), g.kernel()];
        if inputs != expected {
            return Err(Error::new(format!("expected {expected:?}, got {inputs:?}")));
        }
        Ok(g.features())
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (x, w, dy, geometry) = (cx.inputs[0], cx.inputs[1], cx.cotangent, self.geometry);
        let dx = cx.want(0, || dy.with(ConvTranspose2d { geometry }, &[w]));
        let dw = cx.want(1, || x.with(Conv2dWeightGrad { geometry }, &[dy]));
        Ok(vec![dx, dw])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        self.geometry.flops()
    }

    reference!(kernels::conv2d::conv2d);
}

impl<'g> Var<'g> {
    /// The convolution of these images [N, H, W, C_in] with a kernel [Kh, Kw, C_in, C_out].
    ///
    /// # Panics
    /// When the shapes do not fit; [`Conv2dGeometry::forward`] returns that as an error.
    #[track_caller]
    pub fn conv2d(self, w: Var<'g>, stride: [usize; 2], padding: Padding) -> Var<'g> {
        match Conv2dGeometry::forward(self.shape(), w.shape(), stride, padding) {
            Ok(geometry) => self.with(Conv2d { geometry }, &[w]),
            Err(error) => panic!("conv2d: {error}"),
        }
    }
}
