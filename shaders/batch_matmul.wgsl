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
#import operands

// Where the operands and the result of this product begin.
var<private> a_begin: u32;
var<private> b_begin: u32;
var<private> out_begin: u32;

fn a_base() -> u32 {
    return a_begin;
}

fn b_base() -> u32 {
    return b_begin;
}

fn row_base(row: u32) -> u32 {
    return out_begin + row * params.n;
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
    a_begin = matrix * params.m * params.k;
    b_begin = matrix * params.k * params.n;
    out_begin = matrix * params.m * params.n;
    let tile = gemm(row, column, 0u, params.k, lane);
    let at = vec2(row, column) + place(lane);
    store_tile(tile, at.x, at.y, params.m, params.n);
}
