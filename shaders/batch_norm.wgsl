// y = leaky_relu(gamma xhat + beta), xhat = (x - mean) / sqrt(variance + eps), with the statistics of each row's
// group; a slope of 1 is no activation.
#import grid
#import channels
#import normalize

@group(0) @binding(1) var<storage, read> x: array<f32>;
// [groups, 2, channels]
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> beta: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

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
    let y = fma(gamma[channel], normalize_at(x[at], group.z, channel), beta[channel]);
    out[at] = select(params.slope * y, y, y > 0.0);
}
