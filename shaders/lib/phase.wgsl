// The phases of a transposed convolution: image rows whose (row + pad_top) leave the same remainder modulo
// stride_h meet the same rows of the kernel, so each of the stride_h * stride_w remainders is a dense convolution
// of stride 1. Along one axis, for a remainder `residue`:

// The first image position with this remainder.
fn phase_first(residue: u32, pad: u32, stride: u32) -> u32 {
    return (residue + stride - pad % stride) % stride;
}

// How many image positions have it.
fn phase_count(first: u32, size: u32, stride: u32) -> u32 {
    return select((size - first + stride - 1u) / stride, 0u, first >= size);
}

// How many kernel positions (residue, residue + stride, ...) meet it.
fn phase_taps(residue: u32, kernel: u32, stride: u32) -> u32 {
    return select((kernel - residue + stride - 1u) / stride, 0u, residue >= kernel);
}
