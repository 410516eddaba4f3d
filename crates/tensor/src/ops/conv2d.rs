//! y = the convolution of images x with a kernel w.

use crate::graph::NodeKind;
use crate::ops::prelude::*;
use crate::ops::resampled::{Seen, spread};
use crate::ops::{Conv2dWeightGrad, ConvTranspose2d, Epilogue, UpsampleNearest};

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

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch_conv2d(&self.geometry, None, output)
    }

    reference!(kernels::conv2d::conv2d);
}

/// The dispatch of a convolution with an epilogue: one element at a time where there are few channels,
/// otherwise tiles.
pub(super) fn launch_conv2d(
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
            [shaders::CONV2D_DIRECT, shaders::CONV2D_DIRECT_BIAS, shaders::CONV2D_DIRECT_GRAD][finish.variant];
        let grid = shaders::grid_1d(kernel, output.len());
        return Some(Dispatch::new(kernel, &params, grid, &finish.arguments()).into());
    }
    let kernels = [
        [shaders::CONV2D, shaders::CONV2D_VEC4, shaders::CONV2D_TALL, shaders::CONV2D_LARGE],
        [shaders::CONV2D_BIAS, shaders::CONV2D_BIAS_VEC4, shaders::CONV2D_BIAS_TALL, shaders::CONV2D_BIAS_LARGE],
        [shaders::CONV2D_GRAD, shaders::CONV2D_GRAD_VEC4, shaders::CONV2D_GRAD_TALL, shaders::CONV2D_GRAD_LARGE],
    ][finish.variant];
    let results = ([output.len() / channels, channels], 1);
    Some(launch::tiled(kernels, &params, &launch::sizes(g), results, &finish.arguments()).into())
}

impl<'g> Var<'g> {
    /// The convolution of these images [N, H, W, C_in] with a kernel [Kh, Kw, C_in, C_out].
    ///
    /// Of images that were made larger by [`upsample_nearest`](Var::upsample_nearest), it is traced as the same
    /// function of the smaller ones.
    ///
    /// # Panics
    /// When the shapes do not fit; [`Conv2dGeometry::forward`] returns that as an error.
    #[track_caller]
    pub fn conv2d(self, w: Var<'g>, stride: [usize; 2], padding: Padding) -> Var<'g> {
        match Conv2dGeometry::forward(self.shape(), w.shape(), stride, padding) {
            Ok(geometry) => of_upsampled(self, w, &geometry)
                .unwrap_or_else(|| self.with(Conv2d { geometry }, &[w])),
            Err(error) => panic!("conv2d: {error}"),
        }
    }
}

/// The convolution with stride 1 of images that are upsampled from others: a transposed convolution of those, whose
/// kernel has the sum of the taps that see the same pixel. A kernel of K and a factor of f take ((K + f - 1) / f)^2
/// products for each pixel instead of K^2, and the upsampled images are never stored.
///
/// Pixel p sees upsampled pixel q = p + u - pad through tap u, which is pixel o of the smaller images repeated for the
/// r-th time, q = f o + r. In the terms of a transposed convolution, p = f o + t - (K - 1 - pad), that is tap
/// t = (K - 1 - u) + r.
fn of_upsampled<'g>(x: Var<'g>, w: Var<'g>, g: &Conv2dGeometry) -> Option<Var<'g>> {
    let NodeKind::Operation(op, inputs) = x.kind() else { return None };
    let &UpsampleNearest { factor } = op.downcast()?;
    if [g.stride_h, g.stride_w] != [1, 1] || factor == [1, 1] {
        return None;
    }
    let small = x.graph().var(inputs[0]);
    let plain = [g.kernel_h, g.kernel_w] == [1, 1] && [g.out_h, g.out_w] == [g.in_h, g.in_w];
    if plain {
        // Each pixel for itself: before it is repeated.
        return Some(small.conv2d(w, [1, 1], Padding::Valid).upsample_nearest(factor));
    }
    let &[_, height, width, _] = small.shape().dims() else { return None };
    let geometry = Conv2dGeometry {
        batch: g.batch,
        in_h: g.out_h,
        in_w: g.out_w,
        in_c: g.out_c,
        out_h: height,
        out_w: width,
        out_c: g.in_c,
        kernel_h: g.kernel_h + factor[0] - 1,
        kernel_w: g.kernel_w + factor[1] - 1,
        stride_h: factor[0],
        stride_w: factor[1],
        pad_top: g.kernel_h - 1 - g.pad_top,
        pad_left: g.kernel_w - 1 - g.pad_left,
    };
    Some(small.with(ConvTranspose2d { geometry }, &[spread(w, factor, 1.0, Seen::FromFeatures)]))
}
