// The operands of a product of matrices, as lib/gemm.wgsl asks for them: a is [m, k] or, transposed, [k, m]; b is [k, n] or
// [n, k]. The importing file has them as `a` and `b`, their sizes in `params`, and says where they begin, in elements:
// a_base() and b_base().

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
    return a[a_base() + k * params.m + row];
#else
    return a[a_base() + row * params.k + k];
#endif
}

fn load_a(rows: Rows, k: u32) -> vec4<f32> {
    let row = rows.row;
    return vec4(a_element(row, k), a_element(row + 1u, k), a_element(row + 2u, k), a_element(row + 3u, k));
}

#if transposes nt tt
fn b_element(k: u32, column: u32) -> f32 {
    if column >= params.n {
        return 0.0;
    }
    return b[b_base() + column * params.k + k];
}
#else
#if width plain short
fn b_element(k: u32, column: u32) -> f32 {
    if column >= params.n {
        return 0.0;
    }
    return b[b_base() + k * params.n + column];
}
#endif
#endif

fn load_b(columns: Columns, k: u32) -> vec4<f32> {
    let column = columns.column;
#if width vec4 tall large short4
#if transposes nn tn
    if column >= params.n {
        return vec4(0.0);
    }
    return b[(b_base() + k * params.n + column) / 4u];
#else
    return vec4(b_element(k, column), b_element(k, column + 1u), b_element(k, column + 2u), b_element(k, column + 3u));
#endif
#else
    return vec4(b_element(k, column), b_element(k, column + 1u), b_element(k, column + 2u), b_element(k, column + 3u));
#endif
}
