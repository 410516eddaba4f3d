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

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let g = &self.geometry;
        let (m, n) = (g.kernel_h * g.kernel_w * g.in_c, g.out_c);
        let (splits, part) = launch::split_k(m, n, g.batch * g.out_h * g.out_w);
        let kernels = [
            shaders::CONV2D_WEIGHT_GRAD,
            shaders::CONV2D_WEIGHT_GRAD_VEC4,
            shaders::CONV2D_WEIGHT_GRAD_TALL,
            shaders::CONV2D_WEIGHT_GRAD_LARGE,
        ];
        let params = shaders::ConvolutionParams { k_per_split: size(part), ..launch::convolution(g) };
        let to = if splits > 1 { Scratch(0) } else { Output };
        let sizes = launch::sizes(g);
        let product =
            launch::tiled(kernels, &params, &sizes, ([m, n], splits), &[Input(0), Input(1), to]);
        if splits == 1 {
            return Some(product.into());
        }
        let sum = launch::split_k_sum(splits, output, launch::Finish::NONE);
        Some(Launch { dispatches: vec![product, sum], scratch: vec![splits * output.len()] })
    }

    reference!(kernels::conv2d_weight_grad::conv2d_weight_grad);
}
