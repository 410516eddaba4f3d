// Binary cross-entropy on logits, element-wise: max(x, 0) - x t + log(1 + exp(-|x|));
// in place, the result takes the place of x.
#axis place plain
#axis place in_place

struct Params { count: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
#if place plain
@group(0) @binding(3) var<storage, read> logits: array<f32>;
#endif

#import grid
#import math

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = folded(group, groups) * 256u + lane;
    if i >= params.count {
        return;
    }
#if place plain
    let x = logits[i];
#else
    let x = out[i];
#endif
    out[i] = fma(-x, t[i], max(x, 0.0)) + log_1p(exp_f32(-abs(x)));
}
