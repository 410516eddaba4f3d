// dx of avg_pool2d, gathered: an element of x receives its share of dy from every window over it.
#import grid
#import pooling
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

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
        let height = window(i, params.size_h, params.stride_h, params.pad_top, params.in_h);
        for (var j = columns.x; j < columns.y; j++) {
            let width = window(j, params.size_w, params.stride_w, params.pad_left, params.in_w);
            let count = (height.y - height.x) * (width.y - width.x);
            sum += dy[out_at(place.image, i, j, place.channel)] / f32(count);
        }
    }
    out[at] = sum;
}
