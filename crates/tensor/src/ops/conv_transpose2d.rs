//! x = the transposed convolution of features y with a kernel w: the adjoint of conv2d.

use crate::ops::prelude::*;
use crate::ops::{Conv2d, Conv2dWeightGrad, Epilogue};

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

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch_conv_transpose2d(&self.geometry, None, output)
    }

    reference!(kernels::conv_transpose2d::conv_transpose2d);
}

/// The dispatch of a transposed convolution with an epilogue: one element at a time where there are few channels,
/// otherwise tiles.
pub(super) fn launch_conv_transpose2d(
    g: &Conv2dGeometry,
    epilogue: Option<Epilogue>,
    output: Shape,
) -> Option<Launch> {
    let finish = launch::Finish::of(epilogue);
    let params = shaders::ConvolutionParams {
        activation: finish.activation,
        slope: finish.slope,
        ..launch::convolution(g)
    };
    let channels = output.last();
    if channels <= 8 {
        let kernel =
            [shaders::CONV_TRANSPOSE2D_DIRECT, shaders::CONV_TRANSPOSE2D_DIRECT_BIAS, shaders::CONV_TRANSPOSE2D_DIRECT_GRAD][finish.variant];
        let grid = shaders::grid_1d(kernel, output.len());
        return Some(Dispatch::new(kernel, &params, grid, &finish.arguments()).into());
    }
    // The largest phase; smaller ones leave workgroups without work.
    let pixels = g.batch * g.in_h.div_ceil(g.stride_h) * g.in_w.div_ceil(g.stride_w);
    let phases = g.stride_h * g.stride_w;
    let kernels = [
        [shaders::CONV_TRANSPOSE2D, shaders::CONV_TRANSPOSE2D_VEC4, shaders::CONV_TRANSPOSE2D_TALL, shaders::CONV_TRANSPOSE2D_LARGE],
        [shaders::CONV_TRANSPOSE2D_BIAS, shaders::CONV_TRANSPOSE2D_BIAS_VEC4, shaders::CONV_TRANSPOSE2D_BIAS_TALL, shaders::CONV_TRANSPOSE2D_BIAS_LARGE],
        [shaders::CONV_TRANSPOSE2D_GRAD, shaders::CONV_TRANSPOSE2D_GRAD_VEC4, shaders::CONV_TRANSPOSE2D_GRAD_TALL, shaders::CONV_TRANSPOSE2D_GRAD_LARGE],
    ][finish.variant];
    let results = ([pixels, channels], phases);
    Some(launch::tiled(kernels, &params, &launch::sizes(g), results, &finish.arguments()).into())
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
