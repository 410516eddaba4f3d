// Stores the results of a tile with its epilogue, row by row: row_base(row) is where a row starts in `out`,
// in elements. `plain` applies the activation, `bias` adds extra [columns] first, `grad` takes extra, shaped like
// the result, for the output of an activation whose vjp it applies.
#import epilogue

#if epilogue bias grad
#if width vec4 tall large short4
@group(0) @binding(4) var<storage, read> extra: array<vec4<f32>>;
#else
@group(0) @binding(4) var<storage, read> extra: array<f32>;
#endif
#endif

#if width plain short
fn finish(sum: f32, at: u32, column: u32) -> f32 {
#if epilogue plain
    return activate(sum);
#endif
#if epilogue bias
    return activate(sum + extra[column]);
#endif
#if epilogue grad
    return activate_grad(extra[at], sum);
#endif
}
#endif

fn store_row(sum: vec4<f32>, row: u32, column: u32, rows: u32, columns: u32) {
    if row >= rows || column >= columns {
        return;
    }
    let at = row_base(row) + column;
#if width vec4 tall large short4
#if epilogue plain
    out[at / 4u] = vec4(activate(sum.x), activate(sum.y), activate(sum.z), activate(sum.w));
#endif
#if epilogue bias
    let z = sum + extra[column / 4u];
    out[at / 4u] = vec4(activate(z.x), activate(z.y), activate(z.z), activate(z.w));
#endif
#if epilogue grad
    let y = extra[at / 4u];
    out[at / 4u] = vec4(
        activate_grad(y.x, sum.x),
        activate_grad(y.y, sum.y),
        activate_grad(y.z, sum.z),
        activate_grad(y.w, sum.w),
    );
#endif
#else
    out[at] = finish(sum.x, at, column);
    if column + 1u < columns { out[at + 1u] = finish(sum.y, at + 1u, column + 1u); }
    if column + 2u < columns { out[at + 2u] = finish(sum.z, at + 2u, column + 2u); }
    if column + 3u < columns { out[at + 3u] = finish(sum.w, at + 3u, column + 3u); }
#endif
}

fn store_block(block: Block, row: u32, column: u32, rows: u32, columns: u32) {
    store_row(block.c0, row, column, rows, columns);
    store_row(block.c1, row + 1u, column, rows, columns);
    store_row(block.c2, row + 2u, column, rows, columns);
    store_row(block.c3, row + 3u, column, rows, columns);
}

// The blocks of an invocation whose first lies at (row, column).
fn store_tile(tile: Tile, row: u32, column: u32, rows: u32, columns: u32) {
    store_block(tile.first, row, column, rows, columns);
#if width tall large
    store_block(tile.lower, row + BLOCK, column, rows, columns);
#endif
#if width large
    store_block(tile.right, row, column + BLOCK, rows, columns);
    store_block(tile.lower_right, row + BLOCK, column + BLOCK, rows, columns);
#endif
}
