// The gradient of training-mode batch normalisation with respect to its input:
// dx = gamma / sqrt(variance + eps) (dy - (sum dy + xhat sum dy xhat) / rows); in place, dx is dy.
#axis place plain
#axis place in_place

#import grid
#import channels

@group(0) @binding(1) var<storage, read> x: array<f32>;
// [groups, 2, channels]
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
// [groups, 2, channels]
@group(0) @binding(4) var<storage, read> sums: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
#if place plain
@group(0) @binding(6) var<storage, read> dy: array<f32>;
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
    let row = group.z * 2u * params.channels + channel;
    let rstd = inverseSqrt(stats[row + params.channels] + params.eps);
    let xhat = (x[at] - stats[row]) * rstd;
#if place plain
    let cotangent = dy[at];
#else
    let cotangent = out[at];
#endif
    let mean = fma(xhat, sums[row + params.channels], sums[row]) / f32(params.rows);
    out[at] = gamma[channel] * rstd * (cotangent - mean);
}
