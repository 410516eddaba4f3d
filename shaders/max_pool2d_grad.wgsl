// dx of max_pool2d, gathered: an element of x receives dy of every window whose first largest element it is.
#import grid
#import pooling
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#import argmax

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = folded(group, groups) * 256u + lane;
    let place = place_of(at, params.in_h, params.in_w);
    if place.image >= params.batch {
        return;
    }
    let rows = windows_over(place.i, params.size_h, params.stride_h, params.pad_top, params.out_h);
    let columns = windows_over(place.j, params.size_w, params.stride_w, params.pad_left, params.out_w);
    var sum = 0.0;
    for (var i = rows.x; i < rows.y; i++) {
        for (var j = columns.x; j < columns.y; j++) {
            if argmax(place.image, i, j, place.channel) == at {
                sum += dy[out_at(place.image, i, j, place.channel)];
            }
        }
    }
    out[at] = sum;
}
