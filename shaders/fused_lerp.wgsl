// Two or three steps out = out + t (b - out), from a: a running average of several batches. In place, out is a.
#axis steps 2
#axis steps 3
#axis place plain
#axis place in_place
#name fused_lerp {steps} {place}

struct Params { count: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read> b0: array<f32>;
@group(0) @binding(4) var<storage, read> b1: array<f32>;
#if steps 3
@group(0) @binding(5) var<storage, read> b2: array<f32>;
#if place plain
@group(0) @binding(6) var<storage, read> a: array<f32>;
#endif
#else
#if place plain
@group(0) @binding(5) var<storage, read> a: array<f32>;
#endif
#endif

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
#if place plain
    var y = a[i];
#else
    var y = out[i];
#endif
    y = fma(t[0], b0[i] - y, y);
    y = fma(t[0], b1[i] - y, y);
#if steps 3
    y = fma(t[0], b2[i] - y, y);
#endif
    out[i] = y;
}
