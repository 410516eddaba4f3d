// c[i] = op(a[i]) op(b[i]) for a batch of matrices of any size: a is [batch, m, k] or, transposed, [batch, k, m]; b is
// [batch, k, n] or [batch, n, k]. A workgroup computes a tile of one product.
#axis transposes nn
#axis transposes nt
#axis transposes tn
#axis transposes tt
#axis epilogue plain
#axis width plain

struct Params {
    batch: u32,
    m: u32,
    n: u32,
    k: u32,
    // None, for what stores a result asks.
    activation: u32,
    slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

#import grid
#import gemm
#import store

struct Rows { row: u32 }
struct Columns { column: u32 }

#if transposes tn tt
const A_ALONG_K: bool = false;
#else
const A_ALONG_K: bool = true;
#endif
#if transposes nt tt
const B_ALONG_K: bool = true;
#else
const B_ALONG_K: bool = false;
#endif

// Where the operands and the result of this product begin.
var<private> a_base: u32;
var<private> b_base: u32;
var<private> out_base: u32;

fn rows_of(row: u32) -> Rows {
    return Rows(row);
}

fn columns_of(column: u32) -> Columns {
    return Columns(column);
}

fn a_element(row: u32, k: u32) -> f32 {
    if row >= params.m {
        return 0.0;
    }
#if transposes tn tt
    return a[a_base + k * params.m + row];
#else
    return a[a_base + row * params.k + k];
#endif
}

fn load_a(rows: Rows, k: u32) -> vec4<f32> {
    let row = rows.row;
    return vec4(a_element(row, k), a_element(row + 1u, k), a_element(row + 2u, k), a_element(row + 3u, k));
}

fn b_element(k: u32, column: u32) -> f32 {
    if column >= params.n {
        return 0.0;
    }
#if transposes nt tt
    return b[b_base + column * params.k + k];
#else
    return b[b_base + k * params.n + column];
#endif
}

fn load_b(columns: Columns, k: u32) -> vec4<f32> {
    let column = columns.column;
    return vec4(b_element(k, column), b_element(k, column + 1u), b_element(k, column + 2u), b_element(k, column + 3u));
}

fn row_base(row: u32) -> u32 {
    return out_base + row * params.n;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = folded(group, groups);
    let across = (params.n + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let tiles = (params.m + TILE_ROWS - 1u) / TILE_ROWS * across;
    let matrix = number / tiles;
    if matrix >= params.batch {
        return;
    }
    let row = number % tiles / across * TILE_ROWS;
    let column = number % across * TILE_COLUMNS;
    a_base = matrix * params.m * params.k;
    b_base = matrix * params.k * params.n;
    out_base = matrix * params.m * params.n;
    let tile = gemm(row, column, 0u, params.k, lane);
    let at = vec2(row, column) + place(lane);
    store_tile(tile, at.x, at.y, params.m, params.n);
}
