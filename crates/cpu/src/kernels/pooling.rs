//! Pooling and its gradients: windows in their order, a vector of channels at a time.

use crate::context::Context;
use crate::kernel::{CHUNK, Kernel, Tensors, in_chunks};
use crate::simd::{Job, Simd};
use gannet_tensor::{Instruction, Pool2dGeometry, ops};
use std::ops::Range;

#[derive(Clone, Copy)]
enum Kind {
    Max,
    /// Inputs x, dy.
    MaxGrad,
    /// Inputs x, c.
    MaxGather,
    Average,
    AverageGrad,
}

struct Pooling {
    g: Pool2dGeometry,
    kind: Kind,
}

pub(super) fn prepare(instruction: &Instruction) -> Option<Box<dyn Kernel>> {
    let op = &*instruction.op;
    let (g, kind) = if let Some(op) = op.downcast::<ops::MaxPool2d>() {
        (op.geometry, Kind::Max)
    } else if let Some(op) = op.downcast::<ops::MaxPool2dGrad>() {
        (op.geometry, Kind::MaxGrad)
    } else if let Some(op) = op.downcast::<ops::MaxPool2dGather>() {
        (op.geometry, Kind::MaxGather)
    } else if let Some(op) = op.downcast::<ops::AvgPool2d>() {
        (op.geometry, Kind::Average)
    } else {
        (op.downcast::<ops::AvgPool2dGrad>()?.geometry, Kind::AverageGrad)
    };
    Some(Box::new(Pooling { g, kind }))
}

impl Kernel for Pooling {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (g, tensors) = (&self.g, &tensors);
        let lines = g.batch * g.out_h;
        // Windows of one image may overlap: what adds to them takes whole images.
        let chunk = match self.kind {
            Kind::MaxGrad | Kind::AverageGrad => g.out_h,
            _ => CHUNK / (g.out_w * g.channels * g.size_h * g.size_w).max(1),
        };
        in_chunks(context, lines, chunk.max(1), |lines| {
            // SAFETY: Kernel::run's contract; each task has lines, or images, of its own.
            unsafe { context.isa.run(Windows { pooling: self, tensors, lines }) };
        });
    }
}

/// The windows of some lines of an output of `batch * out_h` lines.
struct Windows<'a> {
    pooling: &'a Pooling,
    tensors: &'a Tensors<'a>,
    lines: Range<usize>,
}

/// The elements that a window sees of one channel.
struct Window {
    /// Offsets of rows of the image, and columns within them.
    rows: Range<usize>,
    columns: Range<usize>,
    /// Elements from one row to the next, and from one column to the next.
    row: usize,
    column: usize,
}

impl Window {
    fn len(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// Calls `f(number, offset)` for each element, row by row.
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(usize, usize)) {
        let mut number = 0;
        for row in self.rows.clone() {
            for column in self.columns.clone() {
                f(number, row * self.row + column * self.column);
                number += 1;
            }
        }
    }

    fn first(&self) -> usize {
        self.rows.start * self.row + self.columns.start * self.column
    }
}

/// The part of `size` elements, `stride` per window, that lies in an axis of `len` with padding before it.
fn seen(window: usize, stride: usize, pad: usize, size: usize, len: usize) -> Range<usize> {
    let start = window * stride;
    start.saturating_sub(pad)..(start + size).saturating_sub(pad).min(len)
}

impl Job for Windows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let g = &self.pooling.g;
        let x = self.tensors.input(0);
        let y = self.tensors.output;
        if let Kind::MaxGrad | Kind::AverageGrad = self.pooling.kind {
            let image = g.in_h * g.in_w * g.channels;
            let images = self.lines.start / g.out_h..self.lines.end / g.out_h;
            // SAFETY: Kernel::run's contract; the output is an image for each image of windows.
            unsafe { y.add(images.start * image).write_bytes(0, images.len() * image) };
        }
        for line in self.lines.clone() {
            let (n, i) = (line / g.out_h, line % g.out_h);
            let image = n * g.in_h * g.in_w * g.channels;
            for j in 0..g.out_w {
                let window = Window {
                    rows: seen(i, g.stride_h, g.pad_top, g.size_h, g.in_h),
                    columns: seen(j, g.stride_w, g.pad_left, g.size_w, g.in_w),
                    row: g.in_w * g.channels,
                    column: g.channels,
                };
                let pooled = (line * g.out_w + j) * g.channels;
                for c in (0..g.channels).step_by(V::LANES) {
                    let lanes = (g.channels - c).min(V::LANES);
                    let (image, pooled) = (image + c, pooled + c);
                    // SAFETY: Kernel::run's contract; the window lies within the image, and so do its channels.
                    unsafe {
                        match self.pooling.kind {
                            Kind::Max => {
                                let x = x.add(image);
                                let (best, _) = largest::<V>(&window, x, lanes);
                                best.store_first(y.add(pooled), lanes);
                            }
                            Kind::MaxGather => {
                                let x = x.add(image);
                                let (_, place) = largest::<V>(&window, x, lanes);
                                let c = self.tensors.input(1).add(image);
                                let mut chosen = V::splat(0.0);
                                window.each(
                                    #[inline(always)]
                                    |number, at| {
                                        let c = V::load_first(c.add(at), lanes);
                                        chosen = select_eq(V::splat(number as f32), place, c, chosen);
                                    },
                                );
                                chosen.store_first(y.add(pooled), lanes);
                            }
                            Kind::MaxGrad => {
                                let (x, dx) = (x.add(image), y.add(image));
                                let dy = V::load_first(self.tensors.input(1).add(pooled), lanes);
                                let (_, place) = largest::<V>(&window, x, lanes);
                                window.each(
                                    #[inline(always)]
                                    |number, at| {
                                        let old = V::load_first(dx.add(at), lanes);
                                        let new = old.add(dy);
                                        select_eq(V::splat(number as f32), place, new, old)
                                            .store_first(dx.add(at), lanes);
                                    },
                                );
                            }
                            Kind::Average => {
                                let x = x.add(image);
                                let mut sum = V::splat(0.0);
                                window.each(
                                    #[inline(always)]
                                    |_, at| sum = sum.add(V::load_first(x.add(at), lanes)),
                                );
                                sum.div(V::splat(window.len() as f32)).store_first(y.add(pooled), lanes);
                            }
                            Kind::AverageGrad => {
                                let dx = y.add(image);
                                let dy = V::load_first(x.add(pooled), lanes);
                                let share = dy.div(V::splat(window.len() as f32));
                                window.each(
                                    #[inline(always)]
                                    |_, at| {
                                        let sum = V::load_first(dx.add(at), lanes).add(share);
                                        sum.store_first(dx.add(at), lanes);
                                    },
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `a == b ? yes : no`, per lane, of numbers.
#[inline(always)]
fn select_eq<V: Simd>(a: V, b: V, yes: V, no: V) -> V {
    a.select_gt(b, no, b.select_gt(a, no, yes))
}

/// The first largest element of each lane, and its number within the window.
///
/// # Safety
/// The window must be readable at x, for these lanes.
#[inline(always)]
unsafe fn largest<V: Simd>(window: &Window, x: *const f32, lanes: usize) -> (V, V) {
    // SAFETY: the caller vouches for the window.
    let mut best = unsafe { V::load_first(x.add(window.first()), lanes) };
    let mut place = V::splat(0.0);
    window.each(
        #[inline(always)]
        |number, at| {
            // SAFETY: as above.
            let x = unsafe { V::load_first(x.add(at), lanes) };
            place = x.select_gt(best, V::splat(number as f32), place);
            best = x.select_gt(best, x, best);
        },
    );
    (best, place)
}
