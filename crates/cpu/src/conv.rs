//! The three maps of a convolution as products: geometry in, [`Product`]s out.
//!
//! `conv2d` multiplies the windows of the image with the kernel as it lies in memory. `conv_transpose2d`
//! is, for each of stride_h * stride_w phases of the image, a dense convolution of the features with the
//! taps of that phase. `conv2d_weight_grad` multiplies the transposed windows with the features. Windows
//! are packed straight from the image; nothing is expanded, zero-stuffed or scattered.

use crate::gemm::pack::{Left, Right, Run, Windows};
use crate::gemm::{Product, Target};
use gannet_tensor::Conv2dGeometry;

/// The windows of the image side, one per pixel of the feature side.
fn windows(g: &Conv2dGeometry) -> Windows {
    Windows {
        image: [g.in_h, g.in_w, g.in_c],
        windows: [g.out_h, g.out_w],
        stride: [g.stride_h, g.stride_w],
        runs: (0..g.kernel_h)
            .map(|u| Run {
                row: u as isize - g.pad_top as isize,
                column: -(g.pad_left as isize),
                len: g.kernel_w * g.in_c,
            })
            .collect(),
    }
}

/// y [batch * out_h * out_w, out_c] = windows of x times w.
pub(crate) fn conv2d(g: &Conv2dGeometry) -> Product {
    let windows = windows(g);
    Product {
        rows: g.batch * windows.per_image(),
        k: windows.len(),
        left: Left::Windows(windows),
        right: Right::RowMajor { stride: g.out_c },
        target: Target::Rows { stride: g.out_c },
    }
}

/// dw [kernel_h * kernel_w * in_c, out_c] = transposed windows of x times y.
pub(crate) fn conv2d_weight_grad(g: &Conv2dGeometry) -> Product {
    let windows = windows(g);
    Product {
        rows: windows.len(),
        k: g.batch * windows.per_image(),
        left: Left::WindowsTransposed(windows),
        right: Right::RowMajor { stride: g.out_c },
        target: Target::Rows { stride: g.out_c },
    }
}

/// With a stride of 1, the geometry in which image and features change places: pixel p of the image receives y[o] w[u]
/// wherever p = o + u - pad. With t = kernel - 1 - u, it is window p of the features, padded by kernel - 1 - pad, that
/// receives it, through tap t.
pub(crate) fn reversed(g: &Conv2dGeometry) -> Option<Conv2dGeometry> {
    if [g.stride_h, g.stride_w] != [1, 1] {
        return None;
    }
    Some(Conv2dGeometry {
        in_h: g.out_h,
        in_w: g.out_w,
        in_c: g.out_c,
        out_h: g.in_h,
        out_w: g.in_w,
        out_c: g.in_c,
        pad_top: (g.kernel_h - 1).checked_sub(g.pad_top)?,
        pad_left: (g.kernel_w - 1).checked_sub(g.pad_left)?,
        ..*g
    })
}

/// The taps of a phase along one axis: (feature pixel relative to the window's index, tap), neighbours
/// in the features first.
///
/// Image pixel p = stride * i + phase receives y[o] w[u] wherever p = stride * o + u - before. So u has the
/// residue of phase + before, and o = i + (phase + before - u) / stride: larger taps see earlier features.
fn taps(phase: usize, kernel: usize, stride: usize, before: usize) -> Vec<(isize, usize)> {
    let first = (phase + before) % stride;
    let mut taps: Vec<_> = (first..kernel)
        .step_by(stride)
        .map(|u| (((phase + before) as isize - u as isize) / stride as isize, u))
        .collect();
    taps.reverse();
    taps
}

/// x, phase by phase: the pixels of a phase = windows of y times the kernel's taps of that phase.
pub(crate) fn conv_transpose2d(g: &Conv2dGeometry) -> Vec<Product> {
    let mut products = Vec::new();
    for phase_h in 0..g.stride_h.min(g.in_h) {
        for phase_w in 0..g.stride_w.min(g.in_w) {
            let rows = taps(phase_h, g.kernel_h, g.stride_h, g.pad_top);
            let columns = taps(phase_w, g.kernel_w, g.stride_w, g.pad_left);
            let runs: Vec<Run> = rows
                .iter()
                .filter(|_| !columns.is_empty())
                .map(|&(row, _)| Run { row, column: columns[0].0, len: columns.len() * g.out_c })
                .collect();
            let segments = rows
                .iter()
                .flat_map(|(_, u)| columns.iter().map(move |(_, v)| (u * g.kernel_w + v) * g.in_c * g.out_c))
                .collect();
            let pixels = [(g.in_h - phase_h).div_ceil(g.stride_h), (g.in_w - phase_w).div_ceil(g.stride_w)];
            let windows =
                Windows { image: [g.out_h, g.out_w, g.out_c], windows: pixels, stride: [1, 1], runs };
            products.push(Product {
                rows: g.batch * windows.per_image(),
                k: windows.len(),
                left: Left::Windows(windows),
                right: Right::ColumnMajor { segments, len: g.out_c, stride: g.out_c },
                target: Target::Pixels {
                    image: [g.in_h, g.in_w, g.in_c],
                    windows: pixels,
                    start: [phase_h, phase_w],
                    stride: [g.stride_h, g.stride_w],
                },
            });
        }
    }
    products
}
