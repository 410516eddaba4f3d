// out[i, c] = 1 where ids[i] = c, else 0.
struct Params {
    count: u32,
    depth: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

#import grid

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = folded(group, groups) * 256u + lane;
    if at >= params.count {
        return;
    }
    let id = ids[at / params.depth];
    out[at] = select(0.0, 1.0, id >= 0.0 && floor(id) == f32(at % params.depth));
}
