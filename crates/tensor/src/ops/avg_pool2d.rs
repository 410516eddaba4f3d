//! y = the mean of each window.

use crate::graph::NodeKind;
use crate::ops::prelude::*;
use crate::ops::resampled::{Seen, spread};
use crate::ops::{Add, AvgPool2dGrad, Conv2d};

/// The mean of each window of images x [N, H, W, C]; padding does not count.
#[derive(Debug)]
pub struct AvgPool2d {
    /// Sizes of image and windows, stride and padding.
    pub geometry: Pool2dGeometry,
}

impl Operation for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
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
        Ok(vec![Some(cx.cotangent.with(AvgPool2dGrad { geometry }, &[]))])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        let g = &self.geometry;
        (g.pooled().len() * g.size_h * g.size_w) as u64
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch::pooling(shaders::AVG_POOL2D, &self.geometry, output, &[Input(0), Output])
    }

    reference!(kernels::avg_pool2d::avg_pool2d);
}

impl<'g> Var<'g> {
    /// The mean of each window of these images [N, H, W, C]; padding does not count.
    ///
    /// Of what [`conv2d`](Var::conv2d) gives, with or without a bias, it is traced as the same function of the images
    /// before that.
    ///
    /// # Panics
    /// When the windows do not fit; [`Pool2dGeometry::new`] returns that as an error.
    #[track_caller]
    pub fn avg_pool2d(self, size: [usize; 2], stride: [usize; 2], padding: Padding) -> Var<'g> {
        match Pool2dGeometry::new(self.shape(), size, stride, padding) {
            Ok(geometry) => of_convolution(self, &geometry)
                .unwrap_or_else(|| self.with(AvgPool2d { geometry }, &[])),
            Err(error) => panic!("avg_pool2d: {error}"),
        }
    }
}

/// The mean of the windows side by side of a convolution with stride 1: a convolution whose stride is the windows', with
/// the mean of the kernels that a window sees. A kernel of K and windows of f take (K + f - 1)^2 products for each mean
/// instead of (f K)^2, and what is not averaged is never stored.
fn of_convolution<'g>(y: Var<'g>, pool: &Pool2dGeometry) -> Option<Var<'g>> {
    let size = [pool.size_h, pool.size_w];
    if [pool.stride_h, pool.stride_w] != size || [pool.pad_top, pool.pad_left] != [0, 0] || size == [1, 1] {
        return None;
    }
    // Windows that padding at the end completes have means of fewer.
    if pool.out_h * size[0] > pool.in_h || pool.out_w * size[1] > pool.in_w {
        return None;
    }
    let NodeKind::Operation(op, inputs) = y.kind() else { return None };
    let inputs: Vec<Var<'g>> = inputs.iter().map(|&id| y.graph().var(id)).collect();
    if op.downcast::<Add>().is_some() {
        let [sum, bias] = inputs[..] else { return None };
        // One number for each channel is its own mean.
        let of_channels = bias.shape().len() == bias.shape().last();
        let plain = of_channels && sum.shape() == y.shape();
        return if plain { Some(of_convolution(sum, pool)? + bias) } else { None };
    }
    let &Conv2d { geometry: g } = op.downcast()?;
    let &[x, w] = &inputs[..] else { return None };
    if [g.stride_h, g.stride_w] != [1, 1] {
        return None;
    }
    if [g.kernel_h, g.kernel_w] == [1, 1] && [g.out_h, g.out_w] == [g.in_h, g.in_w] {
        // Each pixel for itself: after the mean.
        return Some(x.avg_pool2d(size, size, Padding::Valid).conv2d(w, [1, 1], Padding::Valid));
    }
    let geometry = Conv2dGeometry {
        out_h: pool.out_h,
        out_w: pool.out_w,
        kernel_h: g.kernel_h + size[0] - 1,
        kernel_w: g.kernel_w + size[1] - 1,
        stride_h: size[0],
        stride_w: size[1],
        ..g
    };
    let share = 1.0 / (size[0] * size[1]) as f64;
    Some(x.with(Conv2d { geometry }, &[spread(w, size, share, Seen::FromImage)]))
}
