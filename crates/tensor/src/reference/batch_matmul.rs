//! C[b, i, j] = sum over k of A[b, i, k] B[b, k, j]

use super::prelude::*;
use crate::ops::BatchMatMul;

pub(crate) fn batch_matmul<T: Element>(op: &BatchMatMul, inputs: &[TensorRef<'_, T>], c: TensorMut<'_, T>) {
    let (a, b) = (inputs[0], inputs[1]);
    let &[batch, m, n] = c.shape.dims() else { unreachable!("a result of shape {}", c.shape) };
    let k = a.shape.len() / (batch * m).max(1);
    let (a_row, a_column) = if op.trans_a { (1, m) } else { (k, 1) };
    let (b_row, b_column) = if op.trans_b { (1, k) } else { (n, 1) };
    for matrix in 0..batch {
        let (a, b) = (&a.data[matrix * m * k..], &b.data[matrix * k * n..]);
        for i in 0..m {
            for j in 0..n {
                let mut sum = T::ZERO;
                for l in 0..k {
                    sum += a[i * a_row + l * a_column] * b[l * b_row + j * b_column];
                }
                c.data[(matrix * m + i) * n + j] = sum;
            }
        }
    }
}
