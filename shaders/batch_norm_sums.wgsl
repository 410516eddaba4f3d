// The two sums of batch normalisation's backward pass, per group and channel: sum dy and sum dy xhat. With
// several chunks per group each writes its own sums, for the sum shader to add.

#import grid
#import channels
#import normalize

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
// [groups, 2, channels]
@group(0) @binding(3) var<storage, read> stats: array<f32>;
// [groups, chunks, 2, channels]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

var<workgroup> parts: array<vec2<f32>, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = folded(group, groups);
    let part = part_of(number, group.z, lane);
    var sums = vec2(0.0);
    if part.channel < params.channels {
        for (var row = part.begin; row < part.end; row += part.step) {
            let at = row * params.channels + part.channel;
            let xhat = normalize_at(x[at], group.z, part.channel);
            sums = fma(vec2(dy[at]), vec2(1.0, xhat), sums);
        }
    }
    parts[lane] = sums;
    workgroupBarrier();
    for (var step = 128u; step >= params.width; step /= 2u) {
        if lane < step {
            parts[lane] += parts[lane + step];
        }
        workgroupBarrier();
    }
    if lane < params.width && part.channel < params.channels && part.chunk < params.chunks {
        let at = (group.z * params.chunks + part.chunk) * 2u * params.channels + part.channel;
        out[at] = parts[lane].x;
        out[at + params.channels] = parts[lane].y;
    }
}
