//! A copy of an image with its padding, so that every window lies in it.

use gannet_tensor::Conv2dGeometry;

/// Elements beyond the padded image that may be read: a window more, where tiles have even heights.
pub(super) const SPARE: usize = 16;

/// Elements of a row of the padded image, and of all of it with what may be read beyond it.
pub(super) fn padded(g: &Conv2dGeometry) -> (usize, usize) {
    let line = ((g.out_w - 1) * g.stride_w + g.kernel_w).max(g.pad_left + g.in_w) * g.in_c;
    let height = (g.out_h - 1) * g.stride_h + g.kernel_h;
    (line, height * line + SPARE)
}

/// Copies the image at `x` with its padding to `target`.
///
/// # Safety
/// The image must be readable, the target writable for the padded image.
pub(super) unsafe fn pad(g: &Conv2dGeometry, x: *const f32, target: *mut f32) {
    let (line, len) = padded(g);
    let row = g.in_w * g.in_c;
    // SAFETY: the caller vouches for both; rows beyond the last window are left out.
    unsafe {
        target.write_bytes(0, len);
        for y in 0..g.in_h.min(((len - SPARE) / line).saturating_sub(g.pad_top)) {
            let to = target.add((g.pad_top + y) * line + g.pad_left * g.in_c);
            x.add(y * row).copy_to_nonoverlapping(to, row);
        }
    }
}
