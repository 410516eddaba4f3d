// The second level of batch_stats: merges the moments of a group's chunks in order into mean and variance. `running`
// is for one group, and also moves the running statistics.
#axis level plain
#axis level running_1
#axis level running_2
#axis level running_3

#import channels
#import moments
#import running

// [groups, chunks, 2, channels]
@group(0) @binding(1) var<storage, read> partial: array<f32>;
// [groups, 2, channels]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
const FIRST: u32 = 4u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let channel = group.x * 64u + lane;
    if channel >= params.channels {
        return;
    }
    var moments = Moments(0.0, 0.0, 0.0);
    for (var chunk = 0u; chunk < params.chunks; chunk++) {
        let first = chunk * params.chunk_rows;
        let count = f32(min(first + params.chunk_rows, params.rows) - first);
        let at = (group.z * params.chunks + chunk) * 2u * params.channels + channel;
        moments = merge_moments(moments, Moments(count, partial[at], partial[at + params.channels]));
    }
    let at = group.z * 2u * params.channels + channel;
    let mean = x[group.z * params.rows * params.channels + channel] + moments.mean;
    let variance = moments.m2 / moments.count;
    out[at] = mean;
    out[at + params.channels] = variance;
    advance(at, mean);
    advance(at + params.channels, variance);
}
