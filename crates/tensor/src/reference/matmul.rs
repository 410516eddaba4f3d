//! C[i, j] = sum over k of A[i, k] B[k, j]

use super::prelude::*;
use crate::ops::MatMul;

pub(crate) fn matmul<T: Element>(op: &MatMul, inputs: &[TensorRef<'_, T>], c: TensorMut<'_, T>) {
    let (a, b) = (inputs[0], inputs[1]);
    let (m, n) = (c.shape.dims()[0], c.shape.dims()[1]);
    let k = a.shape.len() / m.max(1);
    let (a_row, a_column) = if op.trans_a { (1, m) } else { (k, 1) };
    let (b_row, b_column) = if op.trans_b { (1, k) } else { (n, 1) };
    for i in 0..m {
        for j in 0..n {
            let mut sum = T::ZERO;
            for l in 0..k {
                sum += a.data[i * a_row + l * a_column] * b.data[l * b_row + j * b_column];
            }
            c.data[i * n + j] = sum;
        }
    }
}
