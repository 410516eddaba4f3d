//! All geometry of two-dimensional windows: sizes, padding and their inverses. Nothing else in the
//! workspace computes the size of a convolution, a transposed convolution or a pooling.
//!
//! Padding follows TensorFlow: `same` gives ceil(size / stride) windows and puts the odd pixel of
//! padding at the end; `valid` pads nothing.

use crate::error::{Error, Result};
use crate::shape::Shape;

/// How an image is padded before windows are cut from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// ceil(size / stride) windows, the padding split evenly, the odd pixel at the end.
    Same,
    /// No padding: only windows that lie inside the image.
    Valid,
    /// The given numbers of zero pixels at each edge.
    Explicit {
        /// Rows above.
        top: usize,
        /// Rows below.
        bottom: usize,
        /// Columns to the left.
        left: usize,
        /// Columns to the right.
        right: usize,
    },
}

impl Padding {
    /// The same explicit padding at all four edges.
    pub const fn all(pixels: usize) -> Padding {
        Padding::Explicit { top: pixels, bottom: pixels, left: pixels, right: pixels }
    }

    /// The explicit padding of one axis, if it is explicit: (before, after).
    fn axis(self, axis: usize) -> Option<(usize, usize)> {
        match self {
            Padding::Explicit { top, bottom, left, right } => Some([(top, bottom), (left, right)][axis]),
            _ => None,
        }
    }
}

/// Windows of `kernel` pixels every `stride` pixels along one axis of `input` pixels, after `before`
/// pixels of padding: `output` windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Axis {
    input: usize,
    output: usize,
    before: usize,
}

const AXIS: [&str; 2] = ["height", "width"];

/// The windows of a convolution or pooling over `input` pixels.
fn forward(axis: usize, input: usize, kernel: usize, stride: usize, padding: Padding) -> Result<Axis> {
    check(axis, input, kernel, stride)?;
    let (before, after) = match padding {
        Padding::Valid => (0, 0),
        Padding::Same => {
            let windows = input.div_ceil(stride);
            let total = ((windows - 1) * stride + kernel).saturating_sub(input);
            (total / 2, total - total / 2)
        }
        Padding::Explicit { .. } => padding.axis(axis).unwrap_or_default(),
    };
    let padded = input + before + after;
    if padded < kernel {
        return Err(Error::new(format!(
            "a kernel of {} {kernel} does not fit in {input} pixels with {before} + {after} of padding",
            AXIS[axis]
        )));
    }
    if before >= kernel || after >= kernel {
        return Err(Error::new(format!(
            "padding of {before} + {after} along the {} needs a kernel larger than either, got {kernel}",
            AXIS[axis]
        )));
    }
    Ok(Axis { input, output: (padded - kernel) / stride + 1, before })
}

/// The image side of a transposed convolution whose feature side has `features` pixels.
fn transposed(
    axis: usize,
    features: usize,
    kernel: usize,
    stride: usize,
    padding: Padding,
    output_padding: Option<usize>,
) -> Result<Axis> {
    check(axis, features, kernel, stride)?;
    let name = AXIS[axis];
    if output_padding.is_some_and(|extra| extra >= stride) {
        return Err(Error::new(format!(
            "output_padding must be smaller than the stride, got {} with a stride of {stride} ({name})",
            output_padding.unwrap_or_default()
        )));
    }
    let span = (features - 1) * stride + kernel;
    let image = match (padding, output_padding) {
        (Padding::Valid, None) => (features - 1) * stride + kernel.max(stride),
        (Padding::Valid, Some(extra)) => span + extra,
        (Padding::Same, None) => features * stride,
        // Keras' rule: the padding of `same` is kernel - 1 in sum, split evenly.
        (Padding::Same, Some(extra)) => {
            (span + extra).checked_sub(2 * (kernel / 2)).filter(|&n| n > 0).ok_or_else(|| {
                Error::new(format!("a transposed convolution of {features} pixels ({name}) gives no output"))
            })?
        }
        (Padding::Explicit { .. }, extra) => {
            let (before, after) = padding.axis(axis).unwrap_or_default();
            (span + extra.unwrap_or(0)).checked_sub(before + after).filter(|&n| n > 0).ok_or_else(|| {
                Error::new(format!(
                    "a transposed convolution of {features} pixels with a kernel of {kernel}, stride {stride} \
                     and {before} + {after} of padding ({name}) gives no output"
                ))
            })?
        }
    };
    let before = match (padding, output_padding) {
        (Padding::Valid, _) => 0,
        // The padding that the forward convolution of this image has.
        (Padding::Same, None) => span.saturating_sub(image) / 2,
        (Padding::Same, Some(_)) => kernel / 2,
        (Padding::Explicit { .. }, _) => padding.axis(axis).unwrap_or_default().0,
    };
    if before >= kernel {
        return Err(Error::new(format!(
            "padding of {before} along the {name} needs a kernel larger than that, got {kernel}"
        )));
    }
    Ok(Axis { input: image, output: features, before })
}

fn check(axis: usize, size: usize, kernel: usize, stride: usize) -> Result<()> {
    if size == 0 || kernel == 0 || stride == 0 {
        return Err(Error::new(format!(
            "{}: size, kernel and stride must be at least 1, got size {size}, kernel {kernel}, stride {stride}",
            AXIS[axis]
        )));
    }
    // Products of these stay far below overflow on 64-bit machines.
    if size > 1 << 20 || kernel > 1 << 20 || stride > 1 << 20 {
        return Err(Error::new(format!(
            "{}: size {size}, kernel {kernel} and stride {stride} must not exceed 1048576",
            AXIS[axis]
        )));
    }
    Ok(())
}

/// The geometry that a convolution and both of its adjoints share.
///
/// The image side is `x` [batch, in_h, in_w, in_c], the feature side `y` [batch, out_h, out_w, out_c],
/// the kernel `w` [kernel_h, kernel_w, in_c, out_c]. Output pixel (i, j) sees input pixels
/// (i * stride_h + u - pad_top, j * stride_w + v - pad_left) for 0 <= u < kernel_h, 0 <= v < kernel_w;
/// pixels outside the image are zero. Padding at the bottom and right edges needs no number of its own:
/// it follows from the sizes.
///
/// The three partial maps of the trilinear form sum(x * w * y) are `conv2d` (x, w -> y),
/// `conv_transpose2d` (y, w -> x) and `conv2d_weight_grad` (x, y -> w).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dGeometry {
    /// Images in the batch.
    pub batch: usize,
    /// Height of the image side.
    pub in_h: usize,
    /// Width of the image side.
    pub in_w: usize,
    /// Channels of the image side.
    pub in_c: usize,
    /// Height of the feature side.
    pub out_h: usize,
    /// Width of the feature side.
    pub out_w: usize,
    /// Channels of the feature side.
    pub out_c: usize,
    /// Height of the kernel.
    pub kernel_h: usize,
    /// Width of the kernel.
    pub kernel_w: usize,
    /// Rows between neighbouring windows.
    pub stride_h: usize,
    /// Columns between neighbouring windows.
    pub stride_w: usize,
    /// Zero rows above the image.
    pub pad_top: usize,
    /// Zero columns to the left of the image.
    pub pad_left: usize,
}

impl Conv2dGeometry {
    /// The geometry of `conv2d` for an image `x` [N, H, W, C_in] and a kernel `w` [Kh, Kw, C_in, C_out].
    pub fn forward(x: Shape, w: Shape, stride: [usize; 2], padding: Padding) -> Result<Conv2dGeometry> {
        let (&[batch, in_h, in_w, in_c], &[kernel_h, kernel_w, kernel_in, out_c]) = (x.dims(), w.dims())
        else {
            return Err(Error::new(format!(
                "expected an image [N, H, W, C_in] and a kernel [Kh, Kw, C_in, C_out], got {x} and {w}"
            )));
        };
        if kernel_in != in_c {
            return Err(Error::new(format!(
                "the kernel {w} expects {kernel_in} input channels, the image {x} has {in_c}"
            )));
        }
        let h = forward(0, in_h, kernel_h, stride[0], padding)?;
        let v = forward(1, in_w, kernel_w, stride[1], padding)?;
        Ok(Conv2dGeometry::assemble(batch, [in_c, out_c], [kernel_h, kernel_w], stride, [h, v]))
    }

    /// The geometry of `conv_transpose2d` for features `y` [N, h, w, C_in] and a kernel [Kh, Kw, C_out, C_in]:
    /// the image side is the output.
    ///
    /// Without `output_padding`, `Same` gives size * stride and `Valid` gives
    /// (size - 1) * stride + max(kernel, stride), as in TensorFlow; with explicit padding the output has
    /// (size - 1) * stride + kernel - padding pixels, as in PyTorch. `output_padding` adds pixels at the end.
    pub fn transposed(
        y: Shape,
        w: Shape,
        stride: [usize; 2],
        padding: Padding,
        output_padding: Option<[usize; 2]>,
    ) -> Result<Conv2dGeometry> {
        let (&[batch, y_h, y_w, out_c], &[kernel_h, kernel_w, in_c, kernel_out]) = (y.dims(), w.dims())
        else {
            return Err(Error::new(format!(
                "expected features [N, h, w, C_in] and a kernel [Kh, Kw, C_out, C_in], got {y} and {w}"
            )));
        };
        if kernel_out != out_c {
            return Err(Error::new(format!(
                "the kernel {w} expects {kernel_out} input channels, the features {y} have {out_c}"
            )));
        }
        let h = transposed(0, y_h, kernel_h, stride[0], padding, output_padding.map(|p| p[0]))?;
        let v = transposed(1, y_w, kernel_w, stride[1], padding, output_padding.map(|p| p[1]))?;
        Ok(Conv2dGeometry::assemble(batch, [in_c, out_c], [kernel_h, kernel_w], stride, [h, v]))
    }

    fn assemble(
        batch: usize,
        channels: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        [h, w]: [Axis; 2],
    ) -> Conv2dGeometry {
        Conv2dGeometry {
            batch,
            in_h: h.input,
            in_w: w.input,
            in_c: channels[0],
            out_h: h.output,
            out_w: w.output,
            out_c: channels[1],
            kernel_h: kernel[0],
            kernel_w: kernel[1],
            stride_h: stride[0],
            stride_w: stride[1],
            pad_top: h.before,
            pad_left: w.before,
        }
    }

    /// The image side [batch, in_h, in_w, in_c].
    pub fn image(&self) -> Shape {
        Shape::from([self.batch, self.in_h, self.in_w, self.in_c])
    }

    /// The feature side [batch, out_h, out_w, out_c].
    pub fn features(&self) -> Shape {
        Shape::from([self.batch, self.out_h, self.out_w, self.out_c])
    }

    /// The kernel [kernel_h, kernel_w, in_c, out_c].
    pub fn kernel(&self) -> Shape {
        Shape::from([self.kernel_h, self.kernel_w, self.in_c, self.out_c])
    }

    /// Floating-point operations of each of the three maps, a multiply-add counted as two and taps in
    /// the padding counted too: 2 * |y| * Kh * Kw * C_in.
    pub fn flops(&self) -> u64 {
        2 * self.features().len() as u64 * (self.kernel_h * self.kernel_w * self.in_c) as u64
    }
}

/// The geometry of a pooling over windows of an NHWC image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool2dGeometry {
    /// Images in the batch.
    pub batch: usize,
    /// Height of the image.
    pub in_h: usize,
    /// Width of the image.
    pub in_w: usize,
    /// Channels.
    pub channels: usize,
    /// Windows along the height.
    pub out_h: usize,
    /// Windows along the width.
    pub out_w: usize,
    /// Height of a window.
    pub size_h: usize,
    /// Width of a window.
    pub size_w: usize,
    /// Rows between neighbouring windows.
    pub stride_h: usize,
    /// Columns between neighbouring windows.
    pub stride_w: usize,
    /// Rows of padding above the image; padding never takes part in a window's result.
    pub pad_top: usize,
    /// Columns of padding to the left of the image.
    pub pad_left: usize,
}

impl Pool2dGeometry {
    /// Windows of `size` every `stride` pixels of an image `x` [N, H, W, C].
    pub fn new(x: Shape, size: [usize; 2], stride: [usize; 2], padding: Padding) -> Result<Pool2dGeometry> {
        let &[batch, in_h, in_w, channels] = x.dims() else {
            return Err(Error::new(format!("expected an image [N, H, W, C], got {x}")));
        };
        let h = forward(0, in_h, size[0], stride[0], padding)?;
        let w = forward(1, in_w, size[1], stride[1], padding)?;
        Ok(Pool2dGeometry {
            batch,
            in_h,
            in_w,
            channels,
            out_h: h.output,
            out_w: w.output,
            size_h: size[0],
            size_w: size[1],
            stride_h: stride[0],
            stride_w: stride[1],
            pad_top: h.before,
            pad_left: w.before,
        })
    }

    /// The image [N, H, W, C].
    pub fn image(&self) -> Shape {
        Shape::from([self.batch, self.in_h, self.in_w, self.channels])
    }

    /// The pooled image [N, out_h, out_w, C].
    pub fn pooled(&self) -> Shape {
        Shape::from([self.batch, self.out_h, self.out_w, self.channels])
    }

    /// The rows of the image that window row `i` covers, cut to the image.
    pub fn rows(&self, i: usize) -> std::ops::Range<usize> {
        clip(i * self.stride_h, self.size_h, self.pad_top, self.in_h)
    }

    /// The columns of the image that window column `j` covers, cut to the image.
    pub fn columns(&self, j: usize) -> std::ops::Range<usize> {
        clip(j * self.stride_w, self.size_w, self.pad_left, self.in_w)
    }
}

fn clip(start: usize, size: usize, before: usize, length: usize) -> std::ops::Range<usize> {
    let end = (start + size).saturating_sub(before).min(length);
    start.saturating_sub(before).min(end)..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(size: usize, kernel: usize, stride: usize, padding: Padding) -> (usize, usize) {
        let g = Conv2dGeometry::forward(
            [1, size, size, 1].into(),
            [kernel, kernel, 1, 1].into(),
            [stride; 2],
            padding,
        )
        .unwrap();
        (g.out_h, g.pad_top)
    }

    #[test]
    fn forward_sizes_follow_tensorflow() {
        assert_eq!(conv(28, 4, 2, Padding::Same), (14, 1));
        assert_eq!(conv(9, 4, 2, Padding::Same), (5, 1));
        assert_eq!(conv(10, 5, 2, Padding::Same), (5, 1));
        assert_eq!(conv(7, 3, 2, Padding::Valid), (3, 0));
        assert_eq!(conv(7, 3, 1, Padding::all(2)), (9, 2));
    }

    #[test]
    fn transposed_sizes_invert_forward_sizes() {
        for size in 1..12 {
            for kernel in 1..6 {
                for stride in 1..4 {
                    for padding in [Padding::Same, Padding::Valid] {
                        let (y, w) = (Shape::from([1, size, size, 1]), Shape::from([kernel, kernel, 1, 1]));
                        let t = Conv2dGeometry::transposed(y, w, [stride; 2], padding, None).unwrap();
                        let f = Conv2dGeometry::forward(t.image(), w, [stride; 2], padding).unwrap();
                        assert_eq!(f.out_h, size, "kernel {kernel}, stride {stride}, {padding:?}");
                        assert_eq!(f.pad_top, t.pad_top, "kernel {kernel}, stride {stride}, {padding:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn output_padding_follows_pytorch() {
        let (y, w) = (Shape::from([1, 7, 7, 1]), Shape::from([3, 3, 1, 1]));
        let g = Conv2dGeometry::transposed(y, w, [2; 2], Padding::all(1), Some([1; 2])).unwrap();
        assert_eq!((g.in_h, g.in_w), (14, 14));
        assert!(Conv2dGeometry::transposed(y, w, [2; 2], Padding::all(1), Some([2; 2])).is_err());
    }

    #[test]
    fn impossible_geometry_names_the_numbers() {
        let error = Conv2dGeometry::forward([1, 3, 9, 1].into(), [5, 5, 1, 1].into(), [1; 2], Padding::Valid);
        let message = error.unwrap_err().to_string();
        assert!(message.contains("height 5") && message.contains("3 pixels"), "{message}");
        let error = Conv2dGeometry::forward([1, 9, 9, 2].into(), [3, 3, 3, 8].into(), [1; 2], Padding::Same);
        let message = error.unwrap_err().to_string();
        assert!(message.contains("3 input channels") && message.contains("has 2"), "{message}");
    }

    #[test]
    fn pooling_windows_are_cut_to_the_image() {
        let g = Pool2dGeometry::new([1, 5, 5, 1].into(), [3; 2], [2; 2], Padding::Same).unwrap();
        assert_eq!((g.out_h, g.rows(0), g.rows(2)), (3, 0..2, 3..5));
    }
}
