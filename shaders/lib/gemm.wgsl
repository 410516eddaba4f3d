// The register-blocked core of all products. A workgroup of 256 invocations computes a tile of 64 x 64, an
// invocation 4 x 4 of it. Slices of 16 along k of both operands pass through workgroup memory, four rows (or
// columns) to a vector; the next slice is loaded into registers while this one is multiplied.
//
// The importing file says what the operands are:
//   A_ALONG_K, B_ALONG_K   whether neighbouring invocations should load neighbours along k
//   rows_of(row) -> Rows, load_a(rows, k)          four rows of A from `row`, at k
//   columns_of(column) -> Columns, load_b(columns, k)   four columns of B from `column`, at k
// Both loads give zero outside the matrix; k is below k_end.

const TILE: u32 = 64u;
const SLICE: u32 = 16u;
// 16 vectors and one of padding, which keeps invocations that store along k off the same banks.
const PITCH: u32 = 17u;

var<workgroup> a_slice: array<vec4<f32>, 272>;
var<workgroup> b_slice: array<vec4<f32>, 272>;

struct Tile {
    c0: vec4<f32>,
    c1: vec4<f32>,
    c2: vec4<f32>,
    c3: vec4<f32>,
}

// The 4 x 4 results of invocation `lane` in the tile at (row, column), summed over k_begin <= k < k_end.
fn gemm(row: u32, column: u32, k_begin: u32, k_end: u32, lane: u32) -> Tile {
    let fast = lane % 16u;
    let slow = lane / 16u;
    let a_k = select(slow, fast, A_ALONG_K);
    let a_at = a_k * PITCH + select(fast, slow, A_ALONG_K);
    let b_k = select(slow, fast, B_ALONG_K);
    let b_at = b_k * PITCH + select(fast, slow, B_ALONG_K);
    let rows = rows_of(row + 4u * select(fast, slow, A_ALONG_K));
    let columns = columns_of(column + 4u * select(fast, slow, B_ALONG_K));

    var c0 = vec4(0.0);
    var c1 = vec4(0.0);
    var c2 = vec4(0.0);
    var c3 = vec4(0.0);
    var a_next = vec4(0.0);
    var b_next = vec4(0.0);
    if k_begin + a_k < k_end {
        a_next = load_a(rows, k_begin + a_k);
    }
    if k_begin + b_k < k_end {
        b_next = load_b(columns, k_begin + b_k);
    }
    for (var k = k_begin; k < k_end; k += SLICE) {
        a_slice[a_at] = a_next;
        b_slice[b_at] = b_next;
        workgroupBarrier();
        a_next = vec4(0.0);
        b_next = vec4(0.0);
        if k + SLICE + a_k < k_end {
            a_next = load_a(rows, k + SLICE + a_k);
        }
        if k + SLICE + b_k < k_end {
            b_next = load_b(columns, k + SLICE + b_k);
        }
#unroll i 16
        {
            let a = a_slice[${i}u * PITCH + slow];
            let b = b_slice[${i}u * PITCH + fast];
            c0 = fma(vec4(a.x), b, c0);
            c1 = fma(vec4(a.y), b, c1);
            c2 = fma(vec4(a.z), b, c2);
            c3 = fma(vec4(a.w), b, c3);
        }
#endunroll
        workgroupBarrier();
    }
    return Tile(c0, c1, c2, c3);
}
