//! x = the transposed convolution of features y with a kernel w: the adjoint of conv2d.

use crate::ops::prelude::*;
use crate::ops::{Conv2d, Conv2dWeightGrad};

/// x = transposed convolution of features y with a kernel w: the adjoint of [`Conv2d`](super::Conv2d) in its image.
///
/// y [N, h, w, C_in], w [Kh, Kw, C_out, C_in], x [N, H, W, C_out].
#[derive(Debug)]
pub struct ConvTranspose2d {
    /// Sizes of image, kernel and features, stride and padding.
    pub geometry: Conv2dGeometry,
}

impl Operation for ConvTranspose2d {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let g = &self.geometry;
        let expected = [g.features(), g.kernel()];
        if inputs != expected {
            return Err(Error::new(format!("expected {expected:?}, got {inputs:?}")));
        }
        Ok(g.image())
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (y, w, c, geometry) = (cx.inputs[0], cx.inputs[1], cx.cotangent, self.geometry);
        let dy = cx.want(0, || c.with(Conv2d { geometry }, &[w]));
        let dw = cx.want(1, || c.with(Conv2dWeightGrad { geometry }, &[y]));
        Ok(vec![dy, dw])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        self.geometry.flops()
    }

    reference!(kernels::conv_transpose2d::conv_transpose2d);
}

impl<'g> Var<'g> {
    /// The transposed convolution of these features [N, h, w, C_in] with a kernel [Kh, Kw, C_out, C_in].
    ///
    /// # Panics
    /// When the shapes do not fit; [`Conv2dGeometry::transposed`] returns that as an error.
    #[track_caller]
    pub fn conv_transpose2d(
        self,
        w: Var<'g>,
        stride: [usize; 2],
        padding: Padding,
        output_padding: Option<[usize; 2]>,
    ) -> Var<'g> {
        match Conv2dGeometry::transposed(self.shape(), w.shape(), stride, padding, output_padding) {
            Ok(geometry) => self.with(ConvTranspose2d { geometry }, &[w]),
            Err(error) => panic!("conv_transpose2d: {error}"),
        }
    }
}
