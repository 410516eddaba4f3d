//! y = the convolution of images x with a kernel w.

use crate::ops::prelude::*;
use crate::ops::{Conv2dWeightGrad, ConvTranspose2d, Epilogue};

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
/// otherwise tiles of 64 x 64.
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
    let kernel = [
        [shaders::CONV2D, shaders::CONV2D_VEC4],
        [shaders::CONV2D_BIAS, shaders::CONV2D_BIAS_VEC4],
        [shaders::CONV2D_GRAD, shaders::CONV2D_GRAD_VEC4],
    ][finish.variant][usize::from(channels.is_multiple_of(4))];
    let pixels = output.len() / channels;
    let grid = shaders::grid_folded(launch::tiles(pixels, channels), 1);
    Some(Dispatch::new(kernel, &params, grid, &finish.arguments()).into())
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
