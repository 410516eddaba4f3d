// The index of the first largest element along an axis of `length` elements that lie `stride` apart: one invocation
// for each result.
struct Params {
    count: u32,
    length: u32,
    stride: u32,
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
    let i = folded(group, groups) * 256u + lane;
    if i >= params.count {
        return;
    }
    let start = i / params.stride * params.length * params.stride + i % params.stride;
    var best = 0u;
    for (var n = 1u; n < params.length; n++) {
        if x[start + n * params.stride] > x[start + best * params.stride] {
            best = n;
        }
    }
    out[i] = f32(best);
}
