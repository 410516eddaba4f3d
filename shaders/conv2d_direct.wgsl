// y = conv2d(x, w) with an epilogue (see lib/store.wgsl) for few output channels, where tiles of 64 columns would be mostly empty: an
// invocation computes one output element.
#axis epilogue plain
#axis epilogue bias
#axis epilogue grad

#import convolution
@group(0) @binding(1) var<storage, read> x: array<f32>;
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
    let pixel = at / params.out_c;
    let column = at % params.out_c;
    let line = pixel / params.out_w;
    let image = line / params.out_h;
    if image >= params.batch {
        return;
    }
    var sum = 0.0;
    for (var u = 0u; u < params.kernel_h; u++) {
        // Above the image this wraps to a large number, as to the left of it.
        let i = line % params.out_h * params.stride_h + u - params.pad_top;
        if i >= params.in_h {
            continue;
        }
        for (var v = 0u; v < params.kernel_w; v++) {
            let j = pixel % params.out_w * params.stride_w + v - params.pad_left;
            if j >= params.in_w {
                continue;
            }
            let x_at = ((image * params.in_h + i) * params.in_w + j) * params.in_c;
            let w_at = (u * params.kernel_w + v) * params.in_c * params.out_c + column;
            for (var c = 0u; c < params.in_c; c++) {
                sum = fma(x[x_at + c], w[w_at + c * params.out_c], sum);
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
