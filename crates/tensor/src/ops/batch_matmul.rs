//! C[i] = A[i] B[i] for each of a batch, with either operand transposed.

use crate::ops::matmul::{product_vjp, result};
use crate::ops::prelude::*;

/// C = A B for a batch of matrices each, [batch, M, K] and [batch, K, N]; the matrices of each may be given transposed.
#[derive(Debug)]
pub struct BatchMatMul {
    /// A is given as [batch, K, M] instead of [batch, M, K].
    pub trans_a: bool,
    /// B is given as [batch, N, K] instead of [batch, K, N].
    pub trans_b: bool,
}

impl Operation for BatchMatMul {
    fn name(&self) -> &'static str {
        "batch_matmul"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [a, b] = arity(inputs)?;
        let (&[batch, a0, a1], &[others, b0, b1]) = (a.dims(), b.dims()) else {
            return Err(Error::new(format!("expected two batches of matrices, got {a} and {b}")));
        };
        if batch != others {
            return Err(Error::new(format!("{a} is a batch of {batch} matrices, {b} one of {others}")));
        }
        let of = |transposed: bool| if transposed { " transposed" } else { "" };
        let (ta, tb) = (of(self.trans_a), of(self.trans_b));
        let wrong = |k, kb| Error::new(format!("matrices of {a}{ta} have {k} columns, of {b}{tb} {kb} rows"));
        let [m, n] = result([a0, a1], [b0, b1], [self.trans_a, self.trans_b], wrong)?;
        Shape::new(&[batch, m, n])
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let product = |a: Var<'g>, trans_a, b, trans_b| a.with(BatchMatMul { trans_a, trans_b }, &[b]);
        Ok(product_vjp(cx, [self.trans_a, self.trans_b], product))
    }

    fn flops(&self, inputs: &[Shape], output: Shape) -> u64 {
        let k = inputs[0].dims()[if self.trans_a { 1 } else { 2 }];
        2 * output.len() as u64 * k as u64
    }

    fn launch(&self, inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        const TRANSPOSES: [shaders::Kernel<shaders::BatchMatmulParams>; 4] = [
            shaders::BATCH_MATMUL_NN,
            shaders::BATCH_MATMUL_NT,
            shaders::BATCH_MATMUL_TN,
            shaders::BATCH_MATMUL_TT,
        ];
        let &[batch, m, n] = output.dims() else { return None };
        let params = shaders::BatchMatmulParams {
            batch: size(batch),
            m: size(m),
            n: size(n),
            k: size(inputs[0].len() / (batch * m)),
            activation: 0,
            slope: 0.0,
        };
        let kernel = TRANSPOSES[2 * usize::from(self.trans_a) + usize::from(self.trans_b)];
        let grid = shaders::grid_folded(batch * shaders::Tile::Plain.count(m, n), 1);
        Some(Dispatch::new(kernel, &params, grid, &[Input(0), Input(1), Output]).into())
    }

    reference!(kernels::batch_matmul::batch_matmul);
}

impl<'g> Var<'g> {
    /// The matrix products of these [batch, M, K] and `b` [batch, K, N], each with each.
    ///
    /// # Panics
    /// When they are not batches of matrices that fit.
    #[track_caller]
    pub fn batch_matmul(self, b: Var<'g>) -> Var<'g> {
        self.with(BatchMatMul { trans_a: false, trans_b: false }, &[b])
    }
}
