// out[i, :] = table[ids[i], :]; an id that the table does not have gives zeros.
struct Params {
    count: u32,
    rows: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> ids: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

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
    let id = ids[at / params.width];
    var value = 0.0;
    // A negative id would convert to 0.
    if id >= 0.0 && id < f32(params.rows) {
        value = table[u32(id) * params.width + at % params.width];
    }
    out[at] = value;
}
