// The largest element of each window (`plain`), or the element of t where x has its first largest (`gather`: the
// adjoint of max_pool2d_grad in its cotangent).
#axis source plain
#axis source gather

#import grid
#import pooling
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
#if source gather
@group(0) @binding(3) var<storage, read> t: array<f32>;
#endif
#import argmax

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = folded(group, groups) * 256u + lane;
    let place = place_of(at, params.out_h, params.out_w);
    if place.image >= params.batch {
        return;
    }
    let best = argmax(place.image, place.i, place.j, place.channel);
#if source gather
    out[at] = t[best];
#else
    out[at] = x[best];
#endif
}
