// Repeats each pixel of an NHWC image factor_h x factor_w times.
struct Params {
    // The result [batch, h, w, channels].
    count: u32,
    h: u32,
    w: u32,
    channels: u32,
    factor_h: u32,
    factor_w: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

#import grid

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = folded(group, groups) * 256u + lane;
    if at >= params.count {
        return;
    }
    let pixel = at / params.channels;
    let line = pixel / params.w;
    let row = line / params.h * (params.h / params.factor_h) + line % params.h / params.factor_h;
    let source = row * (params.w / params.factor_w) + pixel % params.w / params.factor_w;
    out[at] = x[source * params.channels + at % params.channels];
}
