//! Sums over axes that lie together, as [outer, summed, inner]: rows of a matrix, columns, or everything.
//! Long sums are cut into fixed blocks, whose sums are added in their order.

use super::rows::Reduce;
use crate::context::{Context, Shared, Workspace};
use crate::kernel::{Kernel, Tensors};
use crate::simd::{Job, Simd};
use gannet_tensor::{Instruction, ops};
use std::ops::Range;

/// Elements of a block of a long sum.
const BLOCK: usize = 8 * 1024;

/// Rows of a block, which are added one after the other: few, for accuracy.
const ROWS: usize = 512;

struct Sum {
    outer: usize,
    summed: usize,
    inner: usize,
    /// Rows of `inner` elements in a block.
    block: usize,
}

pub(super) fn prepare(instruction: &Instruction) -> Option<Box<dyn Kernel>> {
    if let Some(op) = instruction.op.downcast::<ops::Max>() {
        return Some(Box::new(Reduce::new(instruction.inputs[0].shape, &op.axes, true)));
    }
    let op = instruction.op.downcast::<ops::Sum>()?;
    let shape = instruction.inputs[0].shape;
    // Axes of one element are summed or not, as it suits.
    let axes: Vec<usize> = (0..shape.rank()).filter(|&axis| shape.dims()[axis] != 1).collect();
    let summed: Vec<bool> = axes.iter().map(|axis| op.axes.contains(axis)).collect();
    let first = summed.iter().position(|&s| s).unwrap_or(0);
    let last = summed.iter().rposition(|&s| s).map_or(0, |last| last + 1);
    if shape.len() == 0 || !summed[first..last.max(first)].iter().all(|&s| s) {
        return Some(Box::new(Reduce::new(shape, &op.axes, false)));
    }
    let size = |range: &[usize]| range.iter().map(|&axis| shape.dims()[axis]).product::<usize>();
    let (outer, inner) = (size(&axes[..first]), size(&axes[last.max(first)..]));
    let summed = size(&axes[first..last.max(first)]);
    let longest = if inner == 1 { BLOCK } else { ROWS };
    Some(Box::new(Sum { outer, summed, inner, block: (BLOCK / inner).clamp(1, longest) }))
}

impl Sum {
    fn blocks(&self) -> usize {
        self.summed.div_ceil(self.block)
    }
}

impl Kernel for Sum {
    fn workspace(&self) -> Workspace {
        let partial = if self.blocks() > 1 { self.outer * self.blocks() * self.inner } else { 0 };
        Workspace { shared: partial, own: 0 }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (blocks, inner) = (self.blocks(), self.inner);
        let x = tensors.input(0);
        let (x, y) = (Shared(x.cast_mut()), Shared(tensors.output));
        // SAFETY: Kernel::run's contract; each task writes sums of its own.
        let sum = |from: Shared<f32>, rows: Range<usize>, to: *mut f32| unsafe {
            sum_rows(context, from.at(rows.start * inner), rows.len(), inner, to);
        };
        if blocks == 1 {
            // Several outer sums to a task, if they are short.
            let size = (BLOCK / (self.summed * inner)).max(1);
            context.threads.run(self.outer.div_ceil(size), &|_, i| {
                for o in i * size..((i + 1) * size).min(self.outer) {
                    sum(x, o * self.summed..(o + 1) * self.summed, y.at(o * inner));
                }
            });
            return;
        }
        let partial = context.shared();
        context.threads.run(self.outer * blocks, &|_, i| {
            let (o, block) = (i / blocks, i % blocks);
            let rows = block * self.block..((block + 1) * self.block).min(self.summed);
            sum(x, o * self.summed + rows.start..o * self.summed + rows.end, partial.at(i * inner));
        });
        context.threads.run(self.outer, &|_, o| sum(partial, o * blocks..(o + 1) * blocks, y.at(o * inner)));
    }
}

/// y[inner] = sum over rows of x[rows, inner].
///
/// # Safety
/// x and y must be valid for these shapes.
unsafe fn sum_rows(context: &Context<'_>, x: *const f32, rows: usize, inner: usize, y: *mut f32) {
    // SAFETY: this function's contract.
    unsafe { context.isa.run(SumRows { x, rows, inner, y }) };
}

struct SumRows {
    x: *const f32,
    rows: usize,
    inner: usize,
    y: *mut f32,
}

impl Job for SumRows {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        if self.inner == 1 {
            // SAFETY: sum_rows' contract.
            unsafe { *self.y = sum_run::<V>(self.x, self.rows) };
            return;
        }
        let mut column = 0;
        while column < self.inner {
            if column + 4 * V::LANES <= self.inner {
                self.columns::<V, 4>(column, V::LANES);
                column += 4 * V::LANES;
            } else {
                let lanes = V::LANES.min(self.inner - column);
                self.columns::<V, 1>(column, lanes);
                column += lanes;
            }
        }
    }
}

impl SumRows {
    #[inline(always)]
    fn columns<V: Simd, const N: usize>(&self, column: usize, lanes: usize) {
        let mut sums = [V::splat(0.0); N];
        let mut p = self.x.wrapping_add(column);
        for _ in 0..self.rows {
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: sum_rows' contract; a partial vector comes alone.
                let x = unsafe {
                    let p = p.wrapping_add(v * V::LANES);
                    V::load_first(p, lanes)
                };
                *sum = sum.add(x);
            }
            p = p.wrapping_add(self.inner);
        }
        for (v, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { sum.store_first(self.y.add(column + v * V::LANES), lanes) };
        }
    }
}

/// The sum of `len` elements that lie together, in four chains.
///
/// # Safety
/// `x` must be readable for `len` elements.
#[inline(always)]
unsafe fn sum_run<V: Simd>(x: *const f32, len: usize) -> f32 {
    let mut sums = [V::splat(0.0); 4];
    let mut i = 0;
    while i < len {
        for sum in &mut sums {
            let lanes = len.saturating_sub(i).min(V::LANES);
            // SAFETY: no lane beyond len is read.
            *sum = sum.add(unsafe { V::load_first(x.wrapping_add(i), lanes) });
            i += V::LANES;
        }
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
}
