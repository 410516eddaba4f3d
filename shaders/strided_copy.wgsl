// Copies between two layouts: out[out_offset + sum index * out_stride] = x[in_offset + sum index * in_stride].
// Permutations, slices, pieces of a concatenation and, with stride 0, broadcasting.
struct Params {
    count: u32,
    rank: u32,
    in_offset: u32,
    out_offset: u32,
    // Size, stride in x, stride in out of each axis, slowest first.
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
    var at = vec2(params.in_offset, params.out_offset);
    for (var axis = params.rank; axis > 0u; axis--) {
        let size_and_strides = params.axes[axis - 1u];
        at += rest % size_and_strides.x * size_and_strides.yz;
        rest /= size_and_strides.x;
    }
    out[at.y] = x[at.x];
}
