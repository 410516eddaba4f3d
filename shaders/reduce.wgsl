// Sums and largest elements over axes. A workgroup of 256 computes `width` neighbouring results (a power of two), 256 / width
// invocations sharing each: every invocation adds its elements in order, a tree adds the invocations. With more
// than one workgroup in z each sums `length` of the reduced elements into out[z], and a second pass over those
// adds them, again in this order for every run. (For the largest element, read "takes" for "adds".)
#axis op sum = total + term
#axis op max = max(total, term)
#name {op}
struct Params {
    // Results, and elements summed into each.
    count: u32,
    reduced: u32,
    // Elements that one workgroup sums.
    length: u32,
    width: u32,
    // Size and stride in x of the kept and of the reduced axes, slowest first; unused ones have size 1.
    kept: array<vec4<u32>, 3>,
    reduced_axes: array<vec4<u32>, 3>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

#import grid

var<workgroup> parts: array<f32, 256>;

fn offset(number: u32, slow: vec4<u32>, middle: vec4<u32>, fast: vec4<u32>) -> u32 {
    let rest = number / fast.x;
    return number % fast.x * fast.y + rest % middle.x * middle.y + rest / middle.x * slow.y;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let result = folded(group, groups) * params.width + lane % params.width;
    var total = 0.0;
    if result < params.count {
        let base = offset(result, params.kept[0], params.kept[1], params.kept[2]);
        let end = min((group.z + 1u) * params.length, params.reduced);
        let step = 256u / params.width;
#if op max
        // Any element of the part will do to begin with.
        total = x[base + offset(group.z * params.length, params.reduced_axes[0], params.reduced_axes[1], params.reduced_axes[2])];
#endif
        for (var r = group.z * params.length + lane / params.width; r < end; r += step) {
            let term = x[base + offset(r, params.reduced_axes[0], params.reduced_axes[1], params.reduced_axes[2])];
            total = ${op};
        }
    }
    parts[lane] = total;
    workgroupBarrier();
    for (var step = 128u; step >= params.width; step /= 2u) {
        if lane < step {
            let total = parts[lane];
            let term = parts[lane + step];
            parts[lane] = ${op};
        }
        workgroupBarrier();
    }
    if lane < params.width && result < params.count {
        out[group.z * params.count + result] = parts[lane];
    }
}
