// Mean and biased variance per group and channel. Each invocation sums deviations from its first element, and
// means are kept relative to the group's first element until the end, so that a large mean costs no digits;
// invocations merge in a tree. With one chunk per group `final` writes mean and variance; `partial` writes the
// relative mean and the sum of squared deviations of each chunk, for batch_stats_merge. `running` is `final` of one
// group that also moves the running statistics.
#axis level final
#axis level partial
#axis level running_1
#axis level running_2
#axis level running_3

#import grid
#import channels
#import moments
#import running

@group(0) @binding(1) var<storage, read> x: array<f32>;
// [groups, chunks, 2, channels]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
const FIRST: u32 = 3u;

var<workgroup> counts: array<f32, 256>;
var<workgroup> means: array<f32, 256>;
var<workgroup> m2s: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = folded(group, groups);
    let part = part_of(number, group.z, lane);
    var moments = Moments(0.0, 0.0, 0.0);
    var origin = 0.0;
    if part.channel < params.channels {
        origin = x[group.z * params.rows * params.channels + part.channel];
    }
    if part.channel < params.channels && part.begin < part.end {
        let shift = x[part.begin * params.channels + part.channel];
        var count = 0.0;
        var sum = 0.0;
        var squares = 0.0;
        for (var row = part.begin; row < part.end; row += part.step) {
            let deviation = x[row * params.channels + part.channel] - shift;
            count += 1.0;
            sum += deviation;
            squares = fma(deviation, deviation, squares);
        }
        moments = Moments(count, (shift - origin) + sum / count, max(fma(-sum / count, sum, squares), 0.0));
    }
    counts[lane] = moments.count;
    means[lane] = moments.mean;
    m2s[lane] = moments.m2;
    workgroupBarrier();
    for (var step = 128u; step >= params.width; step /= 2u) {
        if lane < step {
            let other = lane + step;
            let merged = merge_moments(
                Moments(counts[lane], means[lane], m2s[lane]),
                Moments(counts[other], means[other], m2s[other]),
            );
            counts[lane] = merged.count;
            means[lane] = merged.mean;
            m2s[lane] = merged.m2;
        }
        workgroupBarrier();
    }
    if lane < params.width && part.channel < params.channels && part.chunk < params.chunks {
        let at = (group.z * params.chunks + part.chunk) * 2u * params.channels + part.channel;
#if level partial
        out[at] = means[lane];
        out[at + params.channels] = m2s[lane];
#else
        let mean = origin + means[lane];
        let variance = m2s[lane] / counts[lane];
        out[at] = mean;
        out[at + params.channels] = variance;
        advance(at, mean);
        advance(at + params.channels, variance);
#endif
    }
}
