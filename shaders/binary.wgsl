// Element-wise functions of two tensors: out[i] = f(a[i], b[i]). The broadcast variants read through strides that
// are 0 along stretched axes.
#axis op add = x + y
#axis op sub = x - y
#axis op mul = x * y
#axis op div = x / y
#axis op maximum = max(x, y)
#axis op greater = select(0.0, 1.0, x > y)
#axis layout plain
#axis layout broadcast
#name {op} {layout}

struct Params {
    count: u32,
    rank: u32,
    // Size, stride in a, stride in b of each axis, slowest first.
    axes: array<vec4<u32>, 6>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

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
#if layout broadcast
    var rest = i;
    var at = vec2(0u);
    for (var axis = params.rank; axis > 0u; axis--) {
        let size_and_strides = params.axes[axis - 1u];
        at += rest % size_and_strides.x * size_and_strides.yz;
        rest /= size_and_strides.x;
    }
    let x = a[at.x];
    let y = b[at.y];
#else
    let x = a[i];
    let y = b[i];
#endif
    out[i] = ${op};
}
