// The register-blocked core of all products. A workgroup of 256 invocations computes a tile: of 64 x 64, or `tall` of
// 128 x 64, or `large` of 128 x 128. An invocation has one, two or four blocks of 4 x 4 results, 64 rows or columns apart.
// Slices along k of both operands pass through workgroup memory, four rows (or columns) to a vector; the next slice is
// loaded into registers while this one is multiplied. Every result is the same sum in the same order whatever the tile.
// A `short` sum, or one of whole vectors, `short4`, is of about a slice: operands come from memory as they are needed, for
// nothing waits at a barrier then, and no workgroup memory has to be cleared first, which browsers do.
//
// The importing file says what the operands are:
//   A_ALONG_K, B_ALONG_K   whether neighbouring invocations should load neighbours along k
//   rows_of(row) -> Rows, load_a(rows, k)          four rows of A from `row`, at k
//   columns_of(column) -> Columns, load_b(columns, k)   four columns of B from `column`, at k
// Both loads give zero outside the matrix; k is below k_end.

// How far the blocks of an invocation lie apart.
const BLOCK: u32 = 64u;
#if width plain vec4 short short4
const TILE_ROWS: u32 = 64u;
const TILE_COLUMNS: u32 = 64u;
#endif
#if width plain vec4
const SLICE: u32 = 16u;
#endif
#if width tall
const TILE_ROWS: u32 = 128u;
const TILE_COLUMNS: u32 = 64u;
const SLICE: u32 = 8u;
#endif
#if width large
const TILE_ROWS: u32 = 128u;
const TILE_COLUMNS: u32 = 128u;
const SLICE: u32 = 8u;
#endif

#if width short short4
#else
// Vectors of a slice at one k.
const A_VECTORS: u32 = TILE_ROWS / 4u;
const B_VECTORS: u32 = TILE_COLUMNS / 4u;
// One of padding keeps invocations that store along k off the same banks.
const A_PITCH: u32 = A_VECTORS + 1u;
const B_PITCH: u32 = B_VECTORS + 1u;
var<workgroup> a_slice: array<vec4<f32>, SLICE * A_PITCH>;
var<workgroup> b_slice: array<vec4<f32>, SLICE * B_PITCH>;

// An invocation loads one vector of each slice; half of them have none to load of a tall tile's B.
fn loads_b(lane: u32) -> bool {
#if width tall
    return lane < B_VECTORS * SLICE;
#else
    return true;
#endif
}
#endif

// A block of 4 x 4 results.
struct Block {
    c0: vec4<f32>,
    c1: vec4<f32>,
    c2: vec4<f32>,
    c3: vec4<f32>,
}

// The blocks of an invocation; `lower` is 64 rows below the first, `right` 64 columns beside it.
struct Tile {
    first: Block,
#if width tall large
    lower: Block,
#endif
#if width large
    right: Block,
    lower_right: Block,
#endif
}

// The first row and column of an invocation's first block, in its tile.
fn place(lane: u32) -> vec2<u32> {
    return vec2(4u * (lane / 16u), 4u * (lane % 16u));
}

// The results of invocation `lane` in the tile at (row, column), summed over k_begin <= k < k_end.
#if width short short4
fn gemm(row: u32, column: u32, k_begin: u32, k_end: u32, lane: u32) -> Tile {
    let at = vec2(row, column) + place(lane);
    let rows = rows_of(at.x);
    let columns = columns_of(at.y);
    var c00 = vec4(0.0);
    var c01 = vec4(0.0);
    var c02 = vec4(0.0);
    var c03 = vec4(0.0);
    for (var k = k_begin; k < k_end; k += 1u) {
        let a = load_a(rows, k);
        let b = load_b(columns, k);
        c00 = fma(vec4(a.x), b, c00);
        c01 = fma(vec4(a.y), b, c01);
        c02 = fma(vec4(a.z), b, c02);
        c03 = fma(vec4(a.w), b, c03);
    }
    return Tile(Block(c00, c01, c02, c03));
}
#else
fn gemm(row: u32, column: u32, k_begin: u32, k_end: u32, lane: u32) -> Tile {
    let a_k = select(lane / A_VECTORS, lane % SLICE, A_ALONG_K);
    let a_vector = select(lane % A_VECTORS, lane / SLICE, A_ALONG_K);
    let b_k = select(lane / B_VECTORS, lane % SLICE, B_ALONG_K);
    let b_vector = select(lane % B_VECTORS, lane / SLICE, B_ALONG_K);
    let a_at = a_k * A_PITCH + a_vector;
    let b_at = b_k * B_PITCH + b_vector;
    let rows = rows_of(row + 4u * a_vector);
    let columns = columns_of(column + 4u * b_vector);
    let fast = lane % 16u;
    let slow = lane / 16u;

    var c00 = vec4(0.0);
    var c01 = vec4(0.0);
    var c02 = vec4(0.0);
    var c03 = vec4(0.0);
#if width tall large
    var c10 = vec4(0.0);
    var c11 = vec4(0.0);
    var c12 = vec4(0.0);
    var c13 = vec4(0.0);
#endif
#if width large
    var c20 = vec4(0.0);
    var c21 = vec4(0.0);
    var c22 = vec4(0.0);
    var c23 = vec4(0.0);
    var c30 = vec4(0.0);
    var c31 = vec4(0.0);
    var c32 = vec4(0.0);
    var c33 = vec4(0.0);
#endif
    var a_next = vec4(0.0);
    var b_next = vec4(0.0);
    if k_begin + a_k < k_end {
        a_next = load_a(rows, k_begin + a_k);
    }
    if loads_b(lane) && k_begin + b_k < k_end {
        b_next = load_b(columns, k_begin + b_k);
    }
    for (var k = k_begin; k < k_end; k += SLICE) {
        a_slice[a_at] = a_next;
        if loads_b(lane) {
            b_slice[b_at] = b_next;
        }
        workgroupBarrier();
        a_next = vec4(0.0);
        b_next = vec4(0.0);
        if k + SLICE + a_k < k_end {
            a_next = load_a(rows, k + SLICE + a_k);
        }
        if loads_b(lane) && k + SLICE + b_k < k_end {
            b_next = load_b(columns, k + SLICE + b_k);
        }
#if width plain vec4
#unroll i 16
        {
            let a = a_slice[${i}u * A_PITCH + slow];
            let b = b_slice[${i}u * B_PITCH + fast];
            c00 = fma(vec4(a.x), b, c00);
            c01 = fma(vec4(a.y), b, c01);
            c02 = fma(vec4(a.z), b, c02);
            c03 = fma(vec4(a.w), b, c03);
        }
#endunroll
#else
#unroll i 8
        {
            let a = a_slice[${i}u * A_PITCH + slow];
            let d = a_slice[${i}u * A_PITCH + slow + 16u];
            let b = b_slice[${i}u * B_PITCH + fast];
            c00 = fma(vec4(a.x), b, c00);
            c01 = fma(vec4(a.y), b, c01);
            c02 = fma(vec4(a.z), b, c02);
            c03 = fma(vec4(a.w), b, c03);
            c10 = fma(vec4(d.x), b, c10);
            c11 = fma(vec4(d.y), b, c11);
            c12 = fma(vec4(d.z), b, c12);
            c13 = fma(vec4(d.w), b, c13);
#if width large
            let e = b_slice[${i}u * B_PITCH + fast + 16u];
            c20 = fma(vec4(a.x), e, c20);
            c21 = fma(vec4(a.y), e, c21);
            c22 = fma(vec4(a.z), e, c22);
            c23 = fma(vec4(a.w), e, c23);
            c30 = fma(vec4(d.x), e, c30);
            c31 = fma(vec4(d.y), e, c31);
            c32 = fma(vec4(d.z), e, c32);
            c33 = fma(vec4(d.w), e, c33);
#endif
        }
#endunroll
#endif
        workgroupBarrier();
    }
    return Tile(
        Block(c00, c01, c02, c03),
#if width tall large
        Block(c10, c11, c12, c13),
#endif
#if width large
        Block(c20, c21, c22, c23),
        Block(c30, c31, c32, c33),
#endif
    );
}
#endif
