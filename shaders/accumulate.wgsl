// out = a + b; in place, out is a.
#axis place plain
#axis place in_place

struct Params { count: u32 }

@group(0) @binding(0) var<uniform> params: Params;
#if place plain
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#else
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
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
    out[i] = a[i] + b[i];
#else
    out[i] = out[i] + b[i];
#endif
}
