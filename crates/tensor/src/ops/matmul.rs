//! C = A B, with either operand transposed.

use crate::ops::prelude::*;

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
        let (m, k) = if self.trans_a { (a1, a0) } else { (a0, a1) };
        let (kb, n) = if self.trans_b { (b1, b0) } else { (b0, b1) };
        if k != kb {
            let of = |t: bool| if t { " transposed" } else { "" };
            let (ta, tb) = (of(self.trans_a), of(self.trans_b));
            return Err(Error::new(format!("{a}{ta} has {k} columns, {b}{tb} has {kb} rows")));
        }
        Ok(Shape::from([m, n]))
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let (a, b, c) = (cx.inputs[0], cx.inputs[1], cx.cotangent);
        let product = |a: Var<'g>, trans_a, b, trans_b| a.with(MatMul { trans_a, trans_b }, &[b]);
        let da = cx.want(0, || match self.trans_a {
            false => product(c, false, b, !self.trans_b),
            true => product(b, self.trans_b, c, true),
        });
        let db = cx.want(1, || match self.trans_b {
            false => product(a, !self.trans_a, c, false),
            true => product(c, true, a, self.trans_a),
        });
        Ok(vec![da, db])
    }

    fn flops(&self, inputs: &[Shape], output: Shape) -> u64 {
        let k = inputs[0].dims()[if self.trans_a { 0 } else { 1 }];
        2 * output.len() as u64 * k as u64
    }

    reference!(kernels::matmul::matmul);
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
