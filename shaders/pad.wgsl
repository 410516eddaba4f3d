// Surrounds x with zeros: the adjoint of a slice.
struct Params {
    count: u32,
    rank: u32,
    // Size of out, size of x, zeros before x, stride in x of each axis, slowest first.
    axes: array<vec4<u32>, 6>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

#import grid

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
    var rest = i;
    var at = 0u;
    var inside = true;
    for (var axis = params.rank; axis > 0u; axis--) {
        let size = params.axes[axis - 1u];
        // Before the start this wraps to a large number.
        let index = rest % size.x - size.z;
        inside = inside && index < size.y;
        at += index * size.w;
        rest /= size.x;
    }
    var value = 0.0;
    if inside {
        value = x[at];
    }
    out[i] = value;
}
