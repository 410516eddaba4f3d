// y = activation(gamma xhat + beta), xhat = (x - mean) / sqrt(variance + eps), with the statistics of each row's
// group; in place, y is x.
#axis place plain
#axis place in_place

#import grid
#import channels
#import normalize
#import epilogue

#if place plain
@group(0) @binding(1) var<storage, read> x: array<f32>;
// [groups, 2, channels]
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> beta: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
#else
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> beta: array<f32>;
#endif

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // z is the group; elements are counted within it.
    let i = folded(group, groups) * 256u + lane;
    let size = params.rows * params.channels;
    if i >= size {
        return;
    }
    let channel = i % params.channels;
    let at = group.z * size + i;
#if place plain
    let value = x[at];
#else
    let value = out[at];
#endif
    out[at] = activate(fma(gamma[channel], normalize_at(value, group.z, channel), beta[channel]));
}
