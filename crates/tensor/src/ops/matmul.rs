//! C = A B, with either operand transposed.

use crate::ops::Epilogue;
use crate::ops::prelude::*;
use crate::tiling::Tiling;

/// C = A B for matrices, each of which may be given transposed.
#[derive(Debug)]
pub struct MatMul {
    /// A is given as [K, M] instead of [M, K].
    pub trans_a: bool,
    /// B is given as [N, K] instead of [K, N].
    pub trans_b: bool,
}

impl Operation for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [a, b] = arity(inputs)?;
        let (&[a0, a1], &[b0, b1]) = (a.dims(), b.dims()) else {
            return Err(Error::new(format!("expected two matrices, got {a} and {b}")));
        };
        let of = |transposed: bool| if transposed { " transposed" } else { "" };
        let (ta, tb) = (of(self.trans_a), of(self.trans_b));
        let wrong = |k, kb| Error::new(format!("{a}{ta} has {k} columns, {b}{tb} has {kb} rows"));
        Ok(Shape::from(result([a0, a1], [b0, b1], [self.trans_a, self.trans_b], wrong)?))
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let product = |a: Var<'g>, trans_a, b, trans_b| a.with(MatMul { trans_a, trans_b }, &[b]);
        Ok(product_vjp(cx, [self.trans_a, self.trans_b], product))
    }

    fn flops(&self, inputs: &[Shape], output: Shape) -> u64 {
        let k = inputs[0].dims()[if self.trans_a { 0 } else { 1 }];
        2 * output.len() as u64 * k as u64
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        launch_matmul(self, None, inputs, output)
    }

    reference!(kernels::matmul::matmul);
}

/// Rows and columns of the product of two matrices, each of which may be given transposed. The error is what `wrong` makes of
/// the columns of the first and the rows of the second where these differ.
pub(super) fn result(
    [a0, a1]: [usize; 2],
    [b0, b1]: [usize; 2],
    [trans_a, trans_b]: [bool; 2],
    wrong: impl Fn(usize, usize) -> Error,
) -> Result<[usize; 2]> {
    let (m, k) = if trans_a { (a1, a0) } else { (a0, a1) };
    let (kb, n) = if trans_b { (b1, b0) } else { (b0, b1) };
    if k == kb { Ok([m, n]) } else { Err(wrong(k, kb)) }
}

/// The gradients of C = A B with operands that are given transposed or not, by `product` of two matrices, each with whether it
/// is transposed.
pub(super) fn product_vjp<'g>(
    cx: &Vjp<'_, 'g>,
    [trans_a, trans_b]: [bool; 2],
    product: impl Fn(Var<'g>, bool, Var<'g>, bool) -> Var<'g>,
) -> Vec<Option<Var<'g>>> {
    let (a, b, c) = (cx.inputs[0], cx.inputs[1], cx.cotangent);
    let da = cx.want(0, || match trans_a {
        false => product(c, false, b, !trans_b),
        true => product(b, trans_b, c, true),
    });
    let db = cx.want(1, || match trans_b {
        false => product(a, !trans_a, c, false),
        true => product(c, true, a, trans_a),
    });
    vec![da, db]
}

/// The shaders of a product: by operands transposed, epilogue, and [tile](crate::tiling).
const TILED: [[[shaders::Kernel<shaders::MatmulParams>; 4]; 3]; 4] = [
    [
        [shaders::MATMUL_NN, shaders::MATMUL_NN_VEC4, shaders::MATMUL_NN_TALL, shaders::MATMUL_NN_LARGE],
        [shaders::MATMUL_NN_BIAS, shaders::MATMUL_NN_BIAS_VEC4, shaders::MATMUL_NN_BIAS_TALL, shaders::MATMUL_NN_BIAS_LARGE],
        [shaders::MATMUL_NN_GRAD, shaders::MATMUL_NN_GRAD_VEC4, shaders::MATMUL_NN_GRAD_TALL, shaders::MATMUL_NN_GRAD_LARGE],
    ],
    [
        [shaders::MATMUL_NT, shaders::MATMUL_NT_VEC4, shaders::MATMUL_NT_TALL, shaders::MATMUL_NT_LARGE],
        [shaders::MATMUL_NT_BIAS, shaders::MATMUL_NT_BIAS_VEC4, shaders::MATMUL_NT_BIAS_TALL, shaders::MATMUL_NT_BIAS_LARGE],
        [shaders::MATMUL_NT_GRAD, shaders::MATMUL_NT_GRAD_VEC4, shaders::MATMUL_NT_GRAD_TALL, shaders::MATMUL_NT_GRAD_LARGE],
    ],
    [
        [shaders::MATMUL_TN, shaders::MATMUL_TN_VEC4, shaders::MATMUL_TN_TALL, shaders::MATMUL_TN_LARGE],
        [shaders::MATMUL_TN_BIAS, shaders::MATMUL_TN_BIAS_VEC4, shaders::MATMUL_TN_BIAS_TALL, shaders::MATMUL_TN_BIAS_LARGE],
        [shaders::MATMUL_TN_GRAD, shaders::MATMUL_TN_GRAD_VEC4, shaders::MATMUL_TN_GRAD_TALL, shaders::MATMUL_TN_GRAD_LARGE],
    ],
    [
        [shaders::MATMUL_TT, shaders::MATMUL_TT_VEC4, shaders::MATMUL_TT_TALL, shaders::MATMUL_TT_LARGE],
        [shaders::MATMUL_TT_BIAS, shaders::MATMUL_TT_BIAS_VEC4, shaders::MATMUL_TT_BIAS_TALL, shaders::MATMUL_TT_BIAS_LARGE],
        [shaders::MATMUL_TT_GRAD, shaders::MATMUL_TT_GRAD_VEC4, shaders::MATMUL_TT_GRAD_TALL, shaders::MATMUL_TT_GRAD_LARGE],
    ],
];

/// The shaders of a product with a short sum: by operands transposed, epilogue, and whether columns come in whole vectors.
const SHORT: [[[shaders::Kernel<shaders::MatmulParams>; 2]; 3]; 4] = [
    [
        [shaders::MATMUL_NN_SHORT, shaders::MATMUL_NN_SHORT4],
        [shaders::MATMUL_NN_BIAS_SHORT, shaders::MATMUL_NN_BIAS_SHORT4],
        [shaders::MATMUL_NN_GRAD_SHORT, shaders::MATMUL_NN_GRAD_SHORT4],
    ],
    [
        [shaders::MATMUL_NT_SHORT, shaders::MATMUL_NT_SHORT4],
        [shaders::MATMUL_NT_BIAS_SHORT, shaders::MATMUL_NT_BIAS_SHORT4],
        [shaders::MATMUL_NT_GRAD_SHORT, shaders::MATMUL_NT_GRAD_SHORT4],
    ],
    [
        [shaders::MATMUL_TN_SHORT, shaders::MATMUL_TN_SHORT4],
        [shaders::MATMUL_TN_BIAS_SHORT, shaders::MATMUL_TN_BIAS_SHORT4],
        [shaders::MATMUL_TN_GRAD_SHORT, shaders::MATMUL_TN_GRAD_SHORT4],
    ],
    [
        [shaders::MATMUL_TT_SHORT, shaders::MATMUL_TT_SHORT4],
        [shaders::MATMUL_TT_BIAS_SHORT, shaders::MATMUL_TT_BIAS_SHORT4],
        [shaders::MATMUL_TT_GRAD_SHORT, shaders::MATMUL_TT_GRAD_SHORT4],
    ],
];

/// The longest short sum: a slice of a tile, or a small batch in the gradient of a dense layer's kernel. Staging one slice
/// costs two barriers and saves little, and a browser clears workgroup memory first, which took longer than the product.
const MOST_SHORT: usize = 16;

/// The dispatches of a product [m, k] x [k, n] with an epilogue: dot products where n is small, blocks straight
/// from memory where k is, otherwise tiles, and a second pass over partial sums where k is long and the results are few.
pub(super) fn launch_matmul(
    op: &MatMul,
    epilogue: Option<Epilogue>,
    inputs: &[Shape],
    output: Shape,
) -> Option<Launch> {
    let &[m, n] = output.dims() else { return None };
    let k = inputs[0].len() / m;
    let finish = launch::Finish::of(epilogue);
    if n <= 4 && k >= 32 && !op.trans_a {
        let kernel = [shaders::MATMUL_DOT, shaders::MATMUL_DOT_BIAS, shaders::MATMUL_DOT_GRAD][finish.variant];
        let params = shaders::MatmulDotParams {
            m: size(m),
            n: size(n),
            k: size(k),
            b_stride_k: if op.trans_b { 1 } else { size(n) },
            b_stride_n: if op.trans_b { size(k) } else { 1 },
            activation: finish.activation,
            slope: finish.slope,
        };
        let grid = shaders::grid_folded(m * n, 1);
        return Some(Dispatch::new(kernel, &params, grid, &finish.arguments()).into());
    }
    let transposes = 2 * usize::from(op.trans_a) + usize::from(op.trans_b);
    let (splits, part) = launch::split_k(m, n, k);
    let inner = if splits > 1 { launch::Finish::NONE } else { finish };
    let kernels = TILED[transposes][inner.variant];
    let params = shaders::MatmulParams {
        m: size(m),
        n: size(n),
        k: size(k),
        k_per_split: size(part),
        activation: inner.activation,
        slope: inner.slope,
    };
    if k <= MOST_SHORT && !Tiling::new(m, n, 1).asked {
        let kernel = SHORT[transposes][inner.variant][usize::from(n.is_multiple_of(4))];
        let grid = shaders::grid_folded(shaders::Tile::Plain.count(m, n), 1);
        return Some(Dispatch::new(kernel, &params, grid, &inner.arguments()).into());
    }
    let (sizes, results) = (format!("{m}x{n}x{k}"), ([m, n], splits));
    if splits == 1 {
        return Some(launch::tiled(kernels, &params, &sizes, results, &inner.arguments()).into());
    }
    let product = launch::tiled(kernels, &params, &sizes, results, &[Input(0), Input(1), Scratch(0)]);
    let sum = launch::split_k_sum(splits, output, finish);
    Some(Launch { dispatches: vec![product, sum], scratch: vec![splits * m * n] })
}

impl<'g> Var<'g> {
    /// The matrix product of this [M, K] and `b` [K, N].
    ///
    /// # Panics
    /// When they are not matrices that fit.
    #[track_caller]
    pub fn matmul(self, b: Var<'g>) -> Var<'g> {
        self.with(MatMul { trans_a: false, trans_b: false }, &[b])
    }
}
