// out = x / (1 - rate) where the hash of the element's number keeps it, 0 elsewhere; in place, out is x. The hash is
// that of Dropout::hash, bit for bit.
#axis place plain
#axis place in_place

struct Params {
    count: u32,
    seed: u32,
    // The smallest upper 24 bits of a hash that keep an element.
    threshold: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> counter: array<f32>;
#if place plain
@group(0) @binding(3) var<storage, read> x: array<f32>;
#endif

#import grid

// The PCG hash of Jarzynski and Olano (2020); u32 arithmetic wraps.
fn pcg(value: u32) -> u32 {
    let state = value * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

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
    let value = x[i];
#else
    let value = out[i];
#endif
    let hash = pcg(i + pcg(u32(counter[0]) + pcg(params.seed)));
    out[i] = select(0.0, value * params.scale, (hash >> 8u) >= params.threshold);
}
