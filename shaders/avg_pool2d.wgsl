// The mean of each window, over its elements within the image.
#import grid
#import pooling
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

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
    let rows = window(place.i, params.size_h, params.stride_h, params.pad_top, params.in_h);
    let columns = window(place.j, params.size_w, params.stride_w, params.pad_left, params.in_w);
    var sum = 0.0;
    for (var row = rows.x; row < rows.y; row++) {
        for (var column = columns.x; column < columns.y; column++) {
            sum += x[in_at(place.image, row, column, place.channel)];
        }
    }
    out[at] = sum / f32((rows.y - rows.x) * (columns.y - columns.x));
}
