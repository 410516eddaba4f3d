// scale times the sum of the binary cross-entropy of logits x against targets t (see bce_logits.wgsl), by one
// workgroup: every invocation adds its elements in order, a tree adds the invocations.
struct Params {
    count: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

#import math

var<workgroup> parts: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < params.count; i += 256u) {
        sum += fma(-x[i], t[i], max(x[i], 0.0)) + log_1p(exp_f32(-abs(x[i])));
    }
    parts[lane] = sum;
    workgroupBarrier();
    for (var step = 128u; step > 0u; step /= 2u) {
        if lane < step {
            parts[lane] += parts[lane + step];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        out[0] = params.scale * parts[0];
    }
}
