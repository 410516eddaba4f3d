//! Kernels of convolutions that resample too.

use crate::graph::Var;
use crate::shape::Shape;

/// Which way a kernel is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// Its taps in their order, [.., C_in, C_out].
    FromImage,
    /// In reverse, as `conv_transpose2d` reads them: [.., C_out, C_in].
    FromFeatures,
}

/// The full convolution of a kernel w [Kh, Kw, C_in, C_out] with a block of `factor` equal numbers: `share` of each tap
/// goes to each of so many neighbours, [Kh + factor[0] - 1, Kw + factor[1] - 1, ..].
///
/// Where pixels on one side of a convolution are taken in such blocks, this is its kernel between blocks and the other
/// side.
pub(super) fn spread<'g>(w: Var<'g>, factor: [usize; 2], share: f64, seen: Seen) -> Var<'g> {
    let &[kernel_h, kernel_w, in_c, out_c] = w.shape().dims() else {
        unreachable!("a kernel of shape {}", w.shape())
    };
    let (kernel, reversed) = ([kernel_h, kernel_w], seen == Seen::FromFeatures);
    let size = [0, 1].map(|axis| kernel[axis] + factor[axis] - 1);
    // Whether tap `from` of the kernel is part of tap `to` of the result.
    let takes = |axis: usize, to: usize, from: usize| {
        let from = if reversed { kernel[axis] - 1 - from } else { from };
        (from..from + factor[axis]).contains(&to)
    };
    let mut parts = Vec::with_capacity(size[0] * size[1] * kernel_h * kernel_w);
    for i in 0..size[0] {
        for j in 0..size[1] {
            for u in 0..kernel_h {
                let row = takes(0, i, u);
                parts.extend((0..kernel_w).map(|v| if row && takes(1, j, v) { share } else { 0.0 }));
            }
        }
    }
    let parts = w.graph().constant([size[0] * size[1], kernel_h * kernel_w], &parts);
    let (w, channels) = if reversed { (w.permute(&[0, 1, 3, 2]), [out_c, in_c]) } else { (w, [in_c, out_c]) };
    let taps = w.reshape([kernel_h * kernel_w, in_c * out_c]);
    parts.matmul(taps).reshape(Shape::from([size[0], size[1], channels[0], channels[1]]))
}
