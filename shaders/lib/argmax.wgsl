// Where the first largest element of a window lies in the importing file's image `x`.
fn argmax(image: u32, i: u32, j: u32, channel: u32) -> u32 {
    let rows = window(i, params.size_h, params.stride_h, params.pad_top, params.in_h);
    let columns = window(j, params.size_w, params.stride_w, params.pad_left, params.in_w);
    var best = in_at(image, rows.x, columns.x, channel);
    for (var row = rows.x; row < rows.y; row++) {
        for (var column = columns.x; column < columns.y; column++) {
            let at = in_at(image, row, column, channel);
            if x[at] > x[best] {
                best = at;
            }
        }
    }
    return best;
}
