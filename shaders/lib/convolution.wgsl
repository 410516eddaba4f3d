// The geometry shared by the three maps of a convolution, as Conv2dGeometry has it.
struct ConvolutionParams {
    batch: u32,
    in_h: u32,
    in_w: u32,
    in_c: u32,
    out_h: u32,
    out_w: u32,
    out_c: u32,
    kernel_h: u32,
    kernel_w: u32,
    stride_h: u32,
    stride_w: u32,
    pad_top: u32,
    pad_left: u32,
    // Pixels of the sum that one workgroup takes (weight gradient only).
    k_per_split: u32,
    // See lib/epilogue.wgsl.
    activation: u32,
    slope: f32,
}

@group(0) @binding(0) var<uniform> params: ConvolutionParams;
