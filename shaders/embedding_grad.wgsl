// The gradient of an embedding table, gathered: row r sums dy[i, :] over all i with ids[i] = r, in order.
struct Params {
    // Elements of the table, and its width.
    count: u32,
    width: u32,
    ids: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
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
    let row = f32(at / params.width);
    let column = at % params.width;
    var sum = 0.0;
    for (var i = 0u; i < params.ids; i++) {
        if floor(ids[i]) == row {
            sum += dy[i * params.width + column];
        }
    }
    out[at] = sum;
}
