// c = op(a) op(b) with an epilogue (see lib/store.wgsl), for matrices of any size: a is [m, k] or, transposed,
// [k, m]; b is [k, n] or [n, k].
// With splits > 1 workgroups in z sum one part of k each into c[z], for split_k_sum to add.
// The variants but plain and short ones need n to be a multiple of 4. Short ones take any k, and are for a few.
#axis transposes nn
#axis transposes nt
#axis transposes tn
#axis transposes tt
#axis epilogue plain
#axis epilogue bias
#axis epilogue grad
#axis width plain
#axis width vec4
#axis width tall
#axis width large
#axis width short
#axis width short4

struct Params {
    m: u32,
    n: u32,
    k: u32,
    k_per_split: u32,
    activation: u32,
    slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
#if width vec4 tall large short4
#if transposes nt tt
@group(0) @binding(2) var<storage, read> b: array<f32>;
#else
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
#endif
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#endif

#import grid
#import gemm
#import store
#import operands

var<private> split_base: u32;

fn a_base() -> u32 {
    return 0u;
}

fn b_base() -> u32 {
    return 0u;
}

fn row_base(row: u32) -> u32 {
    return split_base + row * params.n;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = folded(group, groups);
    let across = (params.n + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let row = number / across * TILE_ROWS;
    let column = number % across * TILE_COLUMNS;
    if row >= params.m {
        return;
    }
#if width short short4
    // No invocation waits for another one.
    let first = vec2(row, column) + place(lane);
    if first.x >= params.m || first.y >= params.n {
        return;
    }
#endif
    let k_begin = group.z * params.k_per_split;
    let k_end = min(k_begin + params.k_per_split, params.k);
    split_base = group.z * params.m * params.n;
    let tile = gemm(row, column, k_begin, k_end, lane);
    let at = vec2(row, column) + place(lane);
    store_tile(tile, at.x, at.y, params.m, params.n);
}
