// Stores the 4 x 4 results of a tile with bias and activation, row by row: row_base(row) is where a row starts
// in `out`, in elements.
#import epilogue

#if bias bias
#if width vec4
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
#else
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#endif
#endif

fn store_tile(tile: Tile, row: u32, column: u32, rows: u32, columns: u32) {
    if column >= columns {
        return;
    }
    var offset = vec4(0.0);
#if bias bias
#if width vec4
    offset = bias[column / 4u];
#else
    offset.x = bias[column];
    if column + 1u < columns { offset.y = bias[column + 1u]; }
    if column + 2u < columns { offset.z = bias[column + 2u]; }
    if column + 3u < columns { offset.w = bias[column + 3u]; }
#endif
#endif
    store_row(tile.c0 + offset, row, column, rows, columns);
    store_row(tile.c1 + offset, row + 1u, column, rows, columns);
    store_row(tile.c2 + offset, row + 2u, column, rows, columns);
    store_row(tile.c3 + offset, row + 3u, column, rows, columns);
}

fn store_row(sum: vec4<f32>, row: u32, column: u32, rows: u32, columns: u32) {
    if row >= rows {
        return;
    }
    let at = row_base(row) + column;
    let value = activate4(sum);
#if width vec4
    out[at / 4u] = value;
#else
    out[at] = value.x;
    if column + 1u < columns { out[at + 1u] = value.y; }
    if column + 2u < columns { out[at + 2u] = value.z; }
    if column + 3u < columns { out[at + 3u] = value.w; }
#endif
}
