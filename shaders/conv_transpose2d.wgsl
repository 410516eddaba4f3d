// x = conv_transpose2d(y, w) with an epilogue (see lib/store.wgsl), gathered: one matrix product per phase (see
// lib/phase.wgsl), all in one dispatch with the phase in z. Rows are the phase's image pixels, k runs over (kernel row, kernel column, feature
// channel), columns are image channels. The variants but plain ones need in_c to be a multiple of 4.
#axis epilogue plain
#axis epilogue bias
#axis epilogue grad
#axis width plain
#axis width vec4
#axis width tall
#axis width large

#import convolution
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
#if width vec4 tall large
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#endif

#import grid
#import phase
#import gemm
#import store

const A_ALONG_K: bool = true;
const B_ALONG_K: bool = true;

// What all invocations of a workgroup share: the phase.
var<private> residue: vec2<u32>;
var<private> first: vec2<u32>;
var<private> counts: vec2<u32>;
var<private> taps: vec2<u32>;

// For each of four image pixels: its image, and the feature pixel under the phase's first tap.
struct Rows {
    image: vec4<u32>,
    top: vec4<i32>,
    left: vec4<i32>,
}

struct Columns { column: u32 }

fn rows_of(row: u32) -> Rows {
    let pixels = vec4(row, row + 1u, row + 2u, row + 3u);
    let lines = pixels / vec4(counts.y);
    let i = first.x + lines % vec4(counts.x) * params.stride_h + params.pad_top - residue.x;
    let j = first.y + pixels % vec4(counts.y) * params.stride_w + params.pad_left - residue.y;
    // The phase makes both divisions exact; before the first feature pixel they are negative.
    return Rows(
        lines / vec4(counts.x),
        vec4<i32>(i) / vec4(i32(params.stride_h)),
        vec4<i32>(j) / vec4(i32(params.stride_w)),
    );
}

fn columns_of(column: u32) -> Columns {
    return Columns(column);
}

fn feature(image: u32, i: i32, j: i32, channel: u32) -> f32 {
    // Negative positions wrap to large numbers.
    if image >= params.batch || u32(i) >= params.out_h || u32(j) >= params.out_w {
        return 0.0;
    }
    return y[((image * params.out_h + u32(i)) * params.out_w + u32(j)) * params.out_c + channel];
}

fn load_a(rows: Rows, k: u32) -> vec4<f32> {
    let tap = k / params.out_c;
    let channel = k % params.out_c;
    let i = rows.top - vec4(i32(tap / taps.y));
    let j = rows.left - vec4(i32(tap % taps.y));
    return vec4(
        feature(rows.image.x, i.x, j.x, channel),
        feature(rows.image.y, i.y, j.y, channel),
        feature(rows.image.z, i.z, j.z, channel),
        feature(rows.image.w, i.w, j.w, channel),
    );
}

fn weight(at: u32, column: u32) -> f32 {
    if column >= params.in_c {
        return 0.0;
    }
    return w[at + column * params.out_c];
}

fn load_b(columns: Columns, k: u32) -> vec4<f32> {
    let tap = k / params.out_c;
    let u = residue.x + tap / taps.y * params.stride_h;
    let v = residue.y + tap % taps.y * params.stride_w;
    let at = (u * params.kernel_w + v) * params.in_c * params.out_c + k % params.out_c;
    let column = columns.column;
    return vec4(weight(at, column), weight(at, column + 1u), weight(at, column + 2u), weight(at, column + 3u));
}

fn row_base(row: u32) -> u32 {
    let line = row / counts.y;
    let i = first.x + line % counts.x * params.stride_h;
    let j = first.y + row % counts.y * params.stride_w;
    return ((line / counts.x * params.in_h + i) * params.in_w + j) * params.in_c;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = folded(group, groups);
    let across = (params.in_c + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let row = number / across * TILE_ROWS;
    let column = number % across * TILE_COLUMNS;
    residue = vec2(group.z / params.stride_w, group.z % params.stride_w);
    first = vec2(
        phase_first(residue.x, params.pad_top, params.stride_h),
        phase_first(residue.y, params.pad_left, params.stride_w),
    );
    counts = vec2(
        phase_count(first.x, params.in_h, params.stride_h),
        phase_count(first.y, params.in_w, params.stride_w),
    );
    let kernel_taps = vec2(
        phase_taps(group.z / params.stride_w, params.kernel_h, params.stride_h),
        phase_taps(group.z % params.stride_w, params.kernel_w, params.stride_w),
    );
    taps = kernel_taps;
    let phase_rows = phase_count(
        phase_first(group.z / params.stride_w, params.pad_top, params.stride_h),
        params.in_h,
        params.stride_h,
    ) * phase_count(
        phase_first(group.z % params.stride_w, params.pad_left, params.stride_w),
        params.in_w,
        params.stride_w,
    ) * params.batch;
    if row >= phase_rows {
        return;
    }
    let tile = gemm(row, column, 0u, kernel_taps.x * kernel_taps.y * params.out_c, lane);
    let at = vec2(row, column) + place(lane);
    store_tile(tile, at.x, at.y, phase_rows, params.in_c);
}
