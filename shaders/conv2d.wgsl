// y = conv2d(x, w) with an epilogue (see lib/store.wgsl), as an implicit matrix product: rows are output pixels, k runs over (kernel row,
// kernel column, input channel), columns are output channels. The variants but plain ones need out_c to be a multiple of 4.
#axis epilogue plain
#axis epilogue bias
#axis epilogue grad
#axis width plain
#axis width vec4
#axis width tall
#axis width large

#import convolution
@group(0) @binding(1) var<storage, read> x: array<f32>;
#if width vec4 tall large
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#endif

#import grid
#import gemm
#import store

const A_ALONG_K: bool = true;
const B_ALONG_K: bool = false;

// For each of four output pixels: its image, and the input pixel under the kernel's first tap.
struct Rows {
    image: vec4<u32>,
    top: vec4<i32>,
    left: vec4<i32>,
}

struct Columns { column: u32 }

fn rows_of(row: u32) -> Rows {
    let pixels = vec4(row, row + 1u, row + 2u, row + 3u);
    let w = vec4(params.out_w);
    let h = vec4(params.out_h);
    let lines = pixels / w;
    let top = lines % h * params.stride_h;
    let left = pixels % w * params.stride_w;
    return Rows(
        lines / h,
        vec4<i32>(top) - vec4(i32(params.pad_top)),
        vec4<i32>(left) - vec4(i32(params.pad_left)),
    );
}

fn columns_of(column: u32) -> Columns {
    return Columns(column);
}

fn pixel(image: u32, y: i32, x_at: i32, channel: u32) -> f32 {
    // Negative positions wrap to large numbers.
    if image >= params.batch || u32(y) >= params.in_h || u32(x_at) >= params.in_w {
        return 0.0;
    }
    return x[((image * params.in_h + u32(y)) * params.in_w + u32(x_at)) * params.in_c + channel];
}

fn load_a(rows: Rows, k: u32) -> vec4<f32> {
    let tap = k / params.in_c;
    let channel = k % params.in_c;
    let y = rows.top + vec4(i32(tap / params.kernel_w));
    let x_at = rows.left + vec4(i32(tap % params.kernel_w));
    return vec4(
        pixel(rows.image.x, y.x, x_at.x, channel),
        pixel(rows.image.y, y.y, x_at.y, channel),
        pixel(rows.image.z, y.z, x_at.z, channel),
        pixel(rows.image.w, y.w, x_at.w, channel),
    );
}

#if width plain
fn weight(k: u32, column: u32) -> f32 {
    if column >= params.out_c {
        return 0.0;
    }
    return w[k * params.out_c + column];
}
#endif

fn load_b(columns: Columns, k: u32) -> vec4<f32> {
    let column = columns.column;
#if width vec4 tall large
    if column >= params.out_c {
        return vec4(0.0);
    }
    return w[(k * params.out_c + column) / 4u];
#else
    return vec4(weight(k, column), weight(k, column + 1u), weight(k, column + 2u), weight(k, column + 3u));
#endif
}

fn row_base(row: u32) -> u32 {
    return row * params.out_c;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = folded(group, groups);
    let across = (params.out_c + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let pixels = params.batch * params.out_h * params.out_w;
    let row = number / across * TILE_ROWS;
    let column = number % across * TILE_COLUMNS;
    if row >= pixels {
        return;
    }
    let tile = gemm(row, column, 0u, params.kernel_h * params.kernel_w * params.in_c, lane);
    let at = vec2(row, column) + place(lane);
    store_tile(tile, at.x, at.y, pixels, params.out_c);
}
