// dw = conv2d_weight_grad(x, dy) as an implicit matrix product: rows are (kernel row, kernel column, input
// channel), k runs over output pixels, columns are output channels. With splits > 1 workgroups in z sum one part
// of the pixels each into out[z], for split_k_sum to add. The variants but plain ones need out_c to be a multiple of 4.
#axis width plain
#axis width vec4
#axis width tall
#axis width large

#import convolution
@group(0) @binding(1) var<storage, read> x: array<f32>;
#if width vec4 tall large
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#endif

#import grid
#import gemm

const A_ALONG_K: bool = false;
const B_ALONG_K: bool = false;

// For each of four rows: the tap's offset from an output pixel's first input pixel, and the channel.
struct Rows {
    top: vec4<i32>,
    left: vec4<i32>,
    channel: vec4<u32>,
}

struct Columns { column: u32 }

fn rows_of(row: u32) -> Rows {
    let rows = vec4(row, row + 1u, row + 2u, row + 3u);
    let taps = rows / vec4(params.in_c);
    return Rows(
        vec4<i32>(taps / vec4(params.kernel_w)) - vec4(i32(params.pad_top)),
        vec4<i32>(taps % vec4(params.kernel_w)) - vec4(i32(params.pad_left)),
        rows % vec4(params.in_c),
    );
}

fn columns_of(column: u32) -> Columns {
    return Columns(column);
}

fn pixel(image: u32, y: i32, x_at: i32, channel: u32) -> f32 {
    // Negative positions wrap to large numbers. Rows past the kernel's end compute what nobody stores.
    if u32(y) >= params.in_h || u32(x_at) >= params.in_w {
        return 0.0;
    }
    return x[((image * params.in_h + u32(y)) * params.in_w + u32(x_at)) * params.in_c + channel];
}

fn load_a(rows: Rows, k: u32) -> vec4<f32> {
    let line = k / params.out_w;
    let image = line / params.out_h;
    let y = rows.top + vec4(i32(line % params.out_h * params.stride_h));
    let x_at = rows.left + vec4(i32(k % params.out_w * params.stride_w));
    return vec4(
        pixel(image, y.x, x_at.x, rows.channel.x),
        pixel(image, y.y, x_at.y, rows.channel.y),
        pixel(image, y.z, x_at.z, rows.channel.z),
        pixel(image, y.w, x_at.w, rows.channel.w),
    );
}

#if width plain
fn feature(k: u32, column: u32) -> f32 {
    if column >= params.out_c {
        return 0.0;
    }
    return dy[k * params.out_c + column];
}
#endif

fn load_b(columns: Columns, k: u32) -> vec4<f32> {
    let column = columns.column;
#if width vec4 tall large
    if column >= params.out_c {
        return vec4(0.0);
    }
    return dy[(k * params.out_c + column) / 4u];
#else
    return vec4(feature(k, column), feature(k, column + 1u), feature(k, column + 2u), feature(k, column + 3u));
#endif
}

fn store_row(value: vec4<f32>, row: u32, column: u32, rows: u32, split: u32) {
    if row >= rows || column >= params.out_c {
        return;
    }
    let at = (split * rows + row) * params.out_c + column;
#if width vec4 tall large
    out[at / 4u] = value;
#else
    out[at] = value.x;
    if column + 1u < params.out_c { out[at + 1u] = value.y; }
    if column + 2u < params.out_c { out[at + 2u] = value.z; }
    if column + 3u < params.out_c { out[at + 3u] = value.w; }
#endif
}

fn store_block(block: Block, row: u32, column: u32, rows: u32, split: u32) {
    store_row(block.c0, row, column, rows, split);
    store_row(block.c1, row + 1u, column, rows, split);
    store_row(block.c2, row + 2u, column, rows, split);
    store_row(block.c3, row + 3u, column, rows, split);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = folded(group, groups);
    let across = (params.out_c + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let rows = params.kernel_h * params.kernel_w * params.in_c;
    let row = number / across * TILE_ROWS;
    let column = number % across * TILE_COLUMNS;
    if row >= rows {
        return;
    }
    let k_begin = group.z * params.k_per_split;
    let k_end = min(k_begin + params.k_per_split, params.batch * params.out_h * params.out_w);
    let tile = gemm(row, column, k_begin, k_end, lane);
    let at = vec2(row, column) + place(lane);
    store_block(tile.first, at.x, at.y, rows, group.z);
#if width tall large
    store_block(tile.lower, at.x + BLOCK, at.y, rows, group.z);
#endif
#if width large
    store_block(tile.right, at.x, at.y + BLOCK, rows, group.z);
    store_block(tile.lower_right, at.x + BLOCK, at.y + BLOCK, rows, group.z);
#endif
}
