//! Matrix products with one column, or with one term per sum: bound by memory, so a tile would be wasted
//! on them.

use super::product::resolve;
use crate::context::Context;
use crate::gemm::microkernel::Epilogue;
use crate::kernel::{CHUNK, Kernel, Tensors, in_chunks};
use crate::simd::{Job, Simd};
use gannet_tensor::{Instruction, ops};
use std::ops::Range;

pub(super) fn prepare(instruction: &Instruction) -> Option<Box<dyn Kernel>> {
    let (op, epilogue) = if let Some(op) = instruction.op.downcast::<ops::MatMul>() {
        (ops::MatMul { trans_a: op.trans_a, trans_b: op.trans_b }, None)
    } else {
        let op = instruction.op.downcast::<ops::FusedMatMul>()?;
        (op.product(), Some(op.epilogue))
    };
    let a = instruction.inputs[0].shape.dims();
    let (rows, k) = if op.trans_a { (a[1], a[0]) } else { (a[0], a[1]) };
    let columns = instruction.output.shape.last();
    // A vector is the same in either orientation.
    let shape = match (rows, columns, k) {
        (_, _, 1) => Shape::Outer,
        (_, 1, _) if op.trans_a => Shape::Columns,
        (_, 1, _) => Shape::Rows,
        _ => return None,
    };
    Some(Box::new(VectorProduct { shape, rows, columns, k, epilogue }))
}

#[derive(Clone, Copy)]
enum Shape {
    /// y[i] = sum over l of A[i, l] b[l], a row of A at a time.
    Rows,
    /// y[i] = sum over l of A[l, i] b[l], some columns of A at a time.
    Columns,
    /// y[i, j] = a[i] b[j]
    Outer,
}

struct VectorProduct {
    shape: Shape,
    rows: usize,
    columns: usize,
    k: usize,
    epilogue: Option<ops::Epilogue>,
}

impl Kernel for VectorProduct {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let epilogue = resolve(self.epilogue, &tensors);
        let (tensors, epilogue) = (&tensors, &epilogue);
        let chunk = match self.shape {
            Shape::Rows => (CHUNK / self.k.max(1)).max(1),
            Shape::Columns => 256,
            Shape::Outer => (CHUNK / self.columns).max(1),
        };
        in_chunks(context, self.rows, chunk, |rows| {
            // SAFETY: Kernel::run's contract; each task has rows of its own.
            unsafe { context.isa.run(VectorProductJob { kernel: self, tensors, epilogue, rows }) };
        });
    }
}

struct VectorProductJob<'a> {
    kernel: &'a VectorProduct,
    tensors: &'a Tensors<'a>,
    epilogue: &'a Epilogue,
    rows: Range<usize>,
}

/// Independent chains of multiply-adds.
const CHAINS: usize = 4;

impl Job for VectorProductJob<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let (a, b, y) = (self.tensors.input(0), self.tensors.input(1), self.tensors.output);
        let (k, columns) = (self.kernel.k, self.kernel.columns);
        // SAFETY, for all three: Kernel::run's contract; rows, columns and k are those of the tensors.
        match self.kernel.shape {
            Shape::Rows => {
                for row in self.rows.clone() {
                    let a = a.wrapping_add(row * k);
                    let mut sums = [V::splat(0.0); CHAINS];
                    let mut l = 0;
                    while l < k {
                        for sum in &mut sums {
                            let lanes = k.saturating_sub(l).min(V::LANES);
                            // SAFETY: see above.
                            unsafe {
                                let a = V::load_first(a.wrapping_add(l), lanes);
                                *sum = a.mul_add(V::load_first(b.wrapping_add(l), lanes), *sum);
                            }
                            l += V::LANES;
                        }
                    }
                    let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum();
                    // One column: the epilogue of column 0.
                    let p = y.wrapping_add(row);
                    // SAFETY: see above.
                    unsafe { self.epilogue.apply(V::splat(sum), 0, p, 1).store_first(p, 1) };
                }
            }
            Shape::Columns => {
                for row in self.rows.clone().step_by(CHAINS * V::LANES) {
                    let lanes = |v: usize| self.rows.end.saturating_sub(row + v * V::LANES).min(V::LANES);
                    let mut sums = [V::splat(0.0); CHAINS];
                    for l in 0..k {
                        // SAFETY: see above.
                        let factor = V::splat(unsafe { *b.add(l) });
                        let a = a.wrapping_add(l * self.kernel.rows + row);
                        for (v, sum) in sums.iter_mut().enumerate() {
                            // SAFETY: see above.
                            let a = unsafe { V::load_first(a.wrapping_add(v * V::LANES), lanes(v)) };
                            *sum = a.mul_add(factor, *sum);
                        }
                    }
                    for (v, sum) in sums.into_iter().enumerate() {
                        let p = y.wrapping_add(row + v * V::LANES);
                        // SAFETY: see above. The column is 0 in every lane.
                        unsafe {
                            self.epilogue.apply_to_column(sum, 0, p, lanes(v)).store_first(p, lanes(v))
                        };
                    }
                }
            }
            Shape::Outer => {
                for row in self.rows.clone() {
                    // SAFETY: see above.
                    let factor = V::splat(unsafe { *a.add(row) });
                    for column in (0..columns).step_by(V::LANES) {
                        let lanes = (columns - column).min(V::LANES);
                        let p = y.wrapping_add(row * columns + column);
                        // SAFETY: see above.
                        unsafe {
                            let product = factor.mul(V::load_first(b.add(column), lanes));
                            self.epilogue.apply(product, column, p, lanes).store_first(p, lanes);
                        }
                    }
                }
            }
        }
    }
}
