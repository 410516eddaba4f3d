// x = conv_transpose2d(y, w) with an epilogue (see lib/store.wgsl) for few image channels, where tiles of 64
// columns would be mostly empty: an invocation computes one image element from the kernel taps of its phase.
#axis epilogue plain
#axis epilogue bias
#axis epilogue grad

#import convolution
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#if epilogue bias grad
@group(0) @binding(4) var<storage, read> extra: array<f32>;
#endif

#import grid
#import epilogue

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = folded(group, groups) * 64u + lane;
    let pixel = at / params.in_c;
    let column = at % params.in_c;
    let line = pixel / params.in_w;
    let image = line / params.in_h;
    if image >= params.batch {
        return;
    }
    let top = line % params.in_h + params.pad_top;
    let left = pixel % params.in_w + params.pad_left;
    var sum = 0.0;
    for (var u = top % params.stride_h; u < params.kernel_h; u += params.stride_h) {
        if u > top || (top - u) / params.stride_h >= params.out_h {
            continue;
        }
        let i = (top - u) / params.stride_h;
        for (var v = left % params.stride_w; v < params.kernel_w; v += params.stride_w) {
            if v > left || (left - v) / params.stride_w >= params.out_w {
                continue;
            }
            let j = (left - v) / params.stride_w;
            let y_at = ((image * params.out_h + i) * params.out_w + j) * params.out_c;
            let w_at = ((u * params.kernel_w + v) * params.in_c + column) * params.out_c;
            for (var c = 0u; c < params.out_c; c++) {
                sum = fma(y[y_at + c], w[w_at + c], sum);
            }
        }
    }
#if epilogue plain
    out[at] = activate(sum);
#endif
#if epilogue bias
    out[at] = activate(sum + extra[column]);
#endif
#if epilogue grad
    out[at] = activate_grad(extra[at], sum);
#endif
}
