//! Operations on rows: embeddings and their gradient, one-hot vectors, softmax, upsampling, and reductions along an
//! axis. Every number comes of the additions, in their order, that define it, whatever the threads.

use crate::context::{Context, Shared};
use crate::kernel::{CHUNK, Kernel, Tensors, in_chunks};
use crate::simd::{Job, Simd};
use gannet_tensor::{Element, Instruction, Shape, ops};
use std::ops::Range;

pub(super) fn prepare(instruction: &Instruction) -> Option<Box<dyn Kernel>> {
    let op = &*instruction.op;
    let output = instruction.output.shape;
    let inputs: Vec<Shape> = instruction.inputs.iter().map(|view| view.shape).collect();
    let rows = |of: Of, len: usize| -> Option<Box<dyn Kernel>> {
        Some(Box::new(Rows { of, count: output.len() / len.max(1), len }))
    };
    if op.downcast::<ops::Embedding>().is_some() {
        return rows(Of::Embedding { table: inputs[0].dims()[0] }, output.last());
    }
    if let Some(op) = op.downcast::<ops::OneHot>() {
        return rows(Of::OneHot, op.depth);
    }
    if op.downcast::<ops::Softmax>().is_some() {
        return rows(Of::Softmax, output.last());
    }
    if op.downcast::<ops::SoftmaxCrossEntropy>().is_some() {
        return Some(Box::new(Rows { of: Of::CrossEntropy, count: output.len(), len: inputs[0].last() }));
    }
    if let Some(op) = op.downcast::<ops::Argmax>() {
        let (length, stride) = (inputs[0].dims()[op.axis], inputs[0].strides()[op.axis]);
        return Some(Box::new(Rows { of: Of::Argmax { stride }, count: output.len(), len: length }));
    }
    if let Some(op) = op.downcast::<ops::UpsampleNearest>() {
        let dims = inputs[0].dims();
        let [lines, width, channels] = [dims[0] * dims[1], dims[2], dims[3]];
        return Some(Box::new(Upsample { lines, width, channels, factor: op.factor }));
    }
    if let Some(op) = op.downcast::<ops::EmbeddingGrad>() {
        return Some(Box::new(EmbeddingGrad { ids: inputs[0].len(), rows: op.rows, width: output.last() }));
    }
    None
}

/// The row that a whole number stored as a float names, if there are that many rows.
fn position(id: f32, rows: usize) -> Option<usize> {
    (id >= 0.0 && f64::from(id) < rows as f64).then_some(id as usize)
}

#[derive(Clone, Copy)]
enum Of {
    /// Inputs: a table of so many rows, ids.
    Embedding {
        table: usize,
    },
    OneHot,
    Softmax,
    /// Inputs: scores, ids.
    CrossEntropy,
    /// Elements from one to the next along the axis.
    Argmax {
        stride: usize,
    },
}

/// `count` results, each of or from a row of `len` elements.
struct Rows {
    of: Of,
    count: usize,
    len: usize,
}

impl Kernel for Rows {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        in_chunks(context, self.count, (CHUNK / 8 / self.len.max(1)).max(1), |rows| {
            for row in rows {
                // SAFETY: Kernel::run's contract; each row has a result of its own.
                unsafe { self.row(tensors, row) };
            }
        });
    }
}

impl Rows {
    /// # Safety
    /// As for `Kernel::run`; the row must be one of them.
    unsafe fn row(&self, tensors: &Tensors<'_>, row: usize) {
        let len = self.len;
        // SAFETY: see above.
        let x = |start: usize| unsafe { std::slice::from_raw_parts(tensors.input(0).add(start), len) };
        // SAFETY: see above.
        let y = |len: usize| unsafe { std::slice::from_raw_parts_mut(tensors.output.add(row * len), len) };
        // SAFETY: see above.
        let id = |input: usize| unsafe { *tensors.input(input).add(row) };
        match self.of {
            Of::Embedding { table } => match position(id(1), table) {
                Some(i) => y(len).copy_from_slice(x(i * len)),
                None => y(len).fill(0.0),
            },
            Of::OneHot => {
                y(len).fill(0.0);
                if let Some(i) = position(id(0), len) {
                    y(len)[i] = 1.0;
                }
            }
            Of::Softmax => {
                let (x, y) = (x(row * len), y(len));
                let top = largest(x);
                let mut sum = 0.0;
                for (y, x) in y.iter_mut().zip(x) {
                    *y = (x - top).exp();
                    sum += *y;
                }
                y.iter_mut().for_each(|y| *y /= sum);
            }
            Of::CrossEntropy => {
                let x = x(row * len);
                let top = largest(x);
                let mut sum = 0.0_f32;
                x.iter().for_each(|v| sum += (v - top).exp());
                let picked = position(id(1), len).map_or(0.0, |i| x[i]);
                y(1)[0] = sum.ln() + top - picked;
            }
            Of::Argmax { stride } => {
                let start = tensors.input(0).wrapping_add(row / stride * len * stride + row % stride);
                // SAFETY: see above.
                let at = |n: usize| unsafe { *start.add(n * stride) };
                y(1)[0] = (1..len).fold(0, |best, n| if at(n) > at(best) { n } else { best }) as f32;
            }
        }
    }
}

fn largest(x: &[f32]) -> f32 {
    x.iter().fold(x[0], |top, &v| Element::max(top, v))
}

/// Each of the `lines` rows of pixels becomes `factor[0]` rows, each of its pixels `factor[1]` pixels.
struct Upsample {
    lines: usize,
    width: usize,
    channels: usize,
    factor: [usize; 2],
}

impl Kernel for Upsample {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        let (from, [down, across]) = (self.width * self.channels, self.factor);
        let to = from * across;
        in_chunks(context, self.lines, (CHUNK / (to * down).max(1)).max(1), |lines| {
            for line in lines {
                // SAFETY: Kernel::run's contract.
                let x = unsafe { std::slice::from_raw_parts(tensors.input(0).add(line * from), from) };
                let y = tensors.output.wrapping_add(line * down * to);
                // SAFETY: as above; each line has rows of its own.
                let rows = unsafe { std::slice::from_raw_parts_mut(y, down * to) };
                let (first, others) = rows.split_at_mut(to);
                let pixels = x.chunks_exact(self.channels);
                for (pixels, pixel) in first.chunks_exact_mut(across * self.channels).zip(pixels) {
                    for copy in pixels.chunks_exact_mut(self.channels) {
                        copy.iter_mut().zip(pixel).for_each(|(y, x)| *y = *x);
                    }
                }
                for other in others.chunks_exact_mut(to) {
                    other.copy_from_slice(first);
                }
            }
        });
    }
}

/// Adds each row of dy [ids, width] to the row of the table [rows, width] that its id names: some columns to a task.
struct EmbeddingGrad {
    ids: usize,
    rows: usize,
    width: usize,
}

/// Columns of a task.
const COLUMNS: usize = 256;

impl Kernel for EmbeddingGrad {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        in_chunks(context, self.width, COLUMNS, |columns| {
            let table = Shared(tensors.output.wrapping_add(columns.start));
            for row in 0..self.rows {
                // SAFETY: Kernel::run's contract; each task has columns of its own.
                unsafe { table.at(row * self.width).write_bytes(0, columns.len()) };
            }
            for id in 0..self.ids {
                // SAFETY: as above.
                let row = position(unsafe { *tensors.input(0).add(id) }, self.rows);
                let Some(row) = row else { continue };
                let from = tensors.input(1).wrapping_add(id * self.width + columns.start);
                // SAFETY: Kernel::run's contract; each task has columns of its own.
                unsafe {
                    context.isa.run(AddRow { from, to: table.at(row * self.width), len: columns.len() })
                };
            }
        });
    }
}

struct AddRow {
    from: *const f32,
    to: *mut f32,
    len: usize,
}

impl Job for AddRow {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for i in (0..self.len).step_by(V::LANES) {
            let lanes = (self.len - i).min(V::LANES);
            // SAFETY: both rows have `len` elements.
            unsafe {
                let sum = V::load_first(self.to.add(i), lanes).add(V::load_first(self.from.add(i), lanes));
                sum.store_first(self.to.add(i), lanes);
            }
        }
    }
}

/// A reduction over any axes: each result from its elements in the order in which they lie.
pub(super) struct Reduce {
    /// Length and stride of the kept axes, and of the reduced ones, slowest first.
    kept: Vec<[usize; 2]>,
    reduced: Vec<[usize; 2]>,
    max: bool,
}

impl Reduce {
    pub(super) fn new(x: Shape, axes: &[usize], max: bool) -> Reduce {
        let all = |reduced: bool| {
            let axes = (0..x.rank()).filter(|axis| axes.contains(axis) == reduced);
            axes.map(|axis| [x.dims()[axis], x.strides()[axis]]).filter(|[n, _]| *n != 1).collect()
        };
        Reduce { kept: all(false), reduced: all(true), max }
    }
}

fn offset(mut number: usize, axes: &[[usize; 2]]) -> usize {
    let mut offset = 0;
    for [length, stride] in axes.iter().rev() {
        offset += number % length * stride;
        number /= length;
    }
    offset
}

impl Kernel for Reduce {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        let count = |axes: &[[usize; 2]]| axes.iter().map(|[length, _]| length).product::<usize>();
        let (results, terms) = (count(&self.kept), count(&self.reduced));
        // The innermost reduced axis is a loop, the others are counted.
        let (inner, outer) =
            self.reduced.split_last().map_or(([1, 0], &[][..]), |(last, rest)| (*last, rest));
        in_chunks(context, results, (CHUNK / 8 / terms.max(1)).max(1), |range: Range<usize>| {
            for result in range {
                let start = tensors.input(0).wrapping_add(offset(result, &self.kept));
                let mut total = if self.max { f32::NEG_INFINITY } else { 0.0 };
                for number in 0..count(outer) {
                    let start = start.wrapping_add(offset(number, outer));
                    for i in 0..inner[0] {
                        // SAFETY: Kernel::run's contract.
                        let x = unsafe { *start.add(i * inner[1]) };
                        total = if self.max { Element::max(x, total) } else { total + x };
                    }
                }
                // SAFETY: as above; each result is written once.
                unsafe { *tensors.output.add(result) = total };
            }
        });
    }
}
