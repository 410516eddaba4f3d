//! `conv2d_weight_grad`: each window times its features, the windows' elements as the rows of tiles of sums and
//! the features in the lanes of vectors.
//!
//! Where it is the features that are few, and the stride is 1, they change places with the image: its channels fill
//! the lanes, and the taps come in reverse, each transposed.

use super::padded::{pad, padded};
use crate::context::{Context, Shared, Workspace};
use crate::gemm::microkernel::{even_parts, rank_one_update, steps};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors, in_chunks};
use crate::kernels::add_parts::add_parts;
use crate::simd::{Job, Simd};
use gannet_tensor::Conv2dGeometry;
use std::ops::Range;

/// Channels of the image up to which this way is taken in any case.
const FEW: usize = 4;

/// Features, and pairs of channels, up to which it is taken otherwise. Beyond, sums leave the second-level cache, and
/// neighbouring windows lie so far apart that they evict one another: packing pays.
///
/// What was measured, with AVX2 on one thread, in times of what a product of packed operands takes:
///
/// | channels | 1x1 | 3x3, stride 2 | 5x5 | 5x5, stride 2 |
/// |---|---|---|---|---|
/// | 8, 16 to 16, 32 | 1.5 to 2.7 | 1.7 to 3.5 | 1.9 to 4.6 | 1.7 to 5.2 |
/// | 32, 32 to 32, 64 | 1.6 to 2.3 | 1.0 to 2.8 | 1.5 to 2.3 | 1.5 to 2.9 |
/// | 64, 64 to 64, 128 | 1.2 to 1.7 | 1.0 to 1.7 | 1.1 to 1.6 | 1.0 to 1.9 |
/// | 64, 16 to 256, 32 | 1.1 to 4.1 | 0.9 to 2.5 | 2.0 to 3.5 | 1.5 to 3.9 |
/// | 128, 128 | 1.1 to 1.3 | 0.8 to 1.4 | 0.9 to 1.3 | 1.1 |
/// | 128, 256 and 256, 128 | 0.8 to 1.1 | 0.8 to 1.0 | 0.9 | 0.7 to 1.0 |
const MOST_FEATURES: usize = 128;
const MOST_PAIRS: usize = 128 * 128;

/// The most images whose weight gradients are added one after the other, unless there were too many parts then; and
/// the parts that there should be, and may be.
const IMAGES: usize = 4;
const PARTS: usize = 8;
const MOST_PARTS: usize = 24;

/// Elements of features, and of the image, that are met with all rows of the kernel before the next ones are: they stay
/// in the second-level cache, where columns far apart do not evict one another as they do in the first.
const STRIP: usize = 32 * 1024;
const IMAGE_STRIP: usize = 2 * STRIP;

/// Vectors of columns of the weight gradient that are taken together.
const WIDTH: usize = 2;

/// Columns of these vectors where vectors are longest.
const MOST_COLUMNS: usize = WIDTH * 16;

pub(super) struct WeightGrad {
    g: Conv2dGeometry,
    /// Whether `g` is the geometry in which image and features changed places.
    reversed: bool,
    /// Rows of features of a strip.
    strip: usize,
    /// Images of a part.
    images: usize,
}

impl WeightGrad {
    /// None if there are too many channels, or too few features.
    pub(super) fn new(isa: Isa, g: Conv2dGeometry, reversed: bool) -> Option<WeightGrad> {
        let moderate = !reversed && g.out_c <= MOST_FEATURES && g.in_c * g.out_c <= MOST_PAIRS;
        // The first part of the images is what the result begins with.
        let fits = (g.in_c <= FEW || moderate) && g.in_c > 0 && g.out_c >= isa.lanes() && g.batch > 0;
        if !fits {
            return None;
        }
        let strip = (STRIP / (g.out_w * g.out_c)).min(IMAGE_STRIP / (padded(&g).0 * g.stride_h)).max(1);
        let images = (g.batch / PARTS).clamp(1, IMAGES).max(g.batch.div_ceil(MOST_PARTS));
        Some(WeightGrad { g, reversed, strip, images })
    }

    /// Elements of the kernel, and of a sum over some images.
    fn len(&self) -> usize {
        self.g.kernel_h * self.g.kernel_w * self.g.in_c * self.g.out_c
    }
}

impl Kernel for WeightGrad {
    fn workspace(&self) -> Workspace {
        let parts = self.g.batch.div_ceil(self.images) - usize::from(!self.reversed);
        Workspace { shared: parts * self.len(), own: padded(&self.g).1 }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (g, tensors, isa, len) = (&self.g, &tensors, context.isa, self.len());
        let (x, dy) = if self.reversed { (1, 0) } else { (0, 1) };
        let parts = g.batch.div_ceil(self.images);
        // The first part goes straight to the result, unless it has to be turned.
        let shared = context.shared();
        let (first, others) =
            if self.reversed { (shared, shared.at(len)) } else { (Shared(tensors.output), shared.at(0)) };
        let others = Shared(others);
        context.threads.run(parts, &|worker, part| {
            let own = context.own(worker);
            let sums = if part > 0 { others.at((part - 1) * len) } else { first.at(0) };
            let start = part * self.images;
            let end = g.batch.min(start + self.images);
            for image in start..end {
                // SAFETY: Kernel::run's contract; the workspace holds a padded image.
                unsafe { pad(g, tensors.input(x).wrapping_add(image * g.in_h * g.in_w * g.in_c), own) };
                let dy = tensors.input(dy).wrapping_add(image * g.out_h * g.out_w * g.out_c);
                for rows in steps(g.out_h, self.strip) {
                    let accumulate = image > start || rows.start > 0;
                    // SAFETY: Kernel::run's contract; the workspace holds the padded image, and each task has sums of its own.
                    unsafe { isa.run(AddStrip { g, padded: own, dy, sums, rows, accumulate }) };
                }
            }
        });
        // SAFETY: `first` has the elements of one part, the workspace those of the others.
        unsafe { add_parts(context, first.at(0), others.at(0), parts - 1, len) };
        if self.reversed {
            let dw = Shared(tensors.output);
            in_chunks(context, g.out_c, 64, |channels| {
                // SAFETY: Kernel::run's contract, both have the elements of a kernel; each task has channels of its own.
                unsafe { turn(g, first.at(0), dw.at(0), channels) };
            });
        }
    }
}

/// Brings the taps [kernel_h, kernel_w, in_c, out_c] of some features into their order in `dw`: reversed, each
/// [out_c, in_c].
///
/// # Safety
/// `sums` must be readable, `dw` writable for a kernel.
unsafe fn turn(g: &Conv2dGeometry, sums: *const f32, dw: *mut f32, features: Range<usize>) {
    let taps = g.kernel_h * g.kernel_w;
    for tap in 0..taps {
        for feature in features.clone() {
            for c in 0..g.in_c {
                let from = (tap * g.in_c + c) * g.out_c + feature;
                let to = ((taps - 1 - tap) * g.out_c + feature) * g.in_c + c;
                // SAFETY: both lie in the kernel.
                unsafe { *dw.wrapping_add(to) = *sums.wrapping_add(from) };
            }
        }
    }
}

/// Adds the weight gradient of some rows of features: some columns and rows of the kernel at a time in registers.
struct AddStrip<'a> {
    g: &'a Conv2dGeometry,
    padded: *const f32,
    dy: *const f32,
    sums: *mut f32,
    rows: Range<usize>,
    accumulate: bool,
}

/// Where sums that are taken together lie: elements `rows` of row u of the kernel, vectors from `column` on, of which
/// the last `lanes` lanes are new.
struct Place {
    u: usize,
    rows: Range<usize>,
    column: usize,
    lanes: usize,
}

impl Job for AddStrip<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let g = self.g;
        let mut column = 0;
        while column < g.out_c {
            let whole = column + WIDTH * V::LANES <= g.out_c;
            let lanes = V::LANES.min(g.out_c - column);
            for u in 0..g.kernel_h {
                for rows in even_parts(g.kernel_w * g.in_c, V::MR.min(14)) {
                    if whole {
                        self.by_height::<V, WIDTH>(Place { u, rows, column, lanes });
                    } else {
                        // The last vector ends with the columns, and computes some of them again.
                        self.by_height::<V, 1>(Place { u, rows, column: column + lanes - V::LANES, lanes });
                    }
                }
            }
            column += if whole { WIDTH * V::LANES } else { lanes };
        }
    }
}

impl AddStrip<'_> {
    /// Even heights, as in the microkernel; none is above 14. Those that an instruction set does not use are not
    /// compiled.
    #[inline(always)]
    fn by_height<V: Simd, const N: usize>(&self, place: Place) {
        match place.rows.len().next_multiple_of(2) {
            2 => self.add::<V, 2, N>(place),
            4 => self.add::<V, 4, N>(place),
            6 => self.add::<V, 6, N>(place),
            8 => self.add::<V, 8, N>(place),
            10 => self.add::<V, 10, N>(place),
            12 => self.add::<V, 12, N>(place),
            _ => self.add::<V, 14, N>(place),
        }
    }

    #[inline(always)]
    fn add<V: Simd, const H: usize, const N: usize>(&self, place: Place) {
        if const { H <= V::MR } {
            // SAFETY: this job's contract; the place lies in the kernel.
            unsafe { V::apart(AddTile::<H, N> { strip: self, place }) }
        }
    }
}

/// Adds H rows of N vectors.
struct AddTile<'a, const H: usize, const N: usize> {
    strip: &'a AddStrip<'a>,
    place: Place,
}

impl<const H: usize, const N: usize> Job for AddTile<'_, H, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let (strip, Place { u, rows, column, lanes }) = (self.strip, self.place);
        let g = strip.g;
        let (line, step) = (padded(g).0, g.stride_w * g.in_c);
        let mut sums = [[V::splat(0.0); N]; H];
        let mut dy = strip.dy.wrapping_add(strip.rows.start * g.out_w * g.out_c + column);
        for i in strip.rows.clone() {
            let mut a = strip.padded.wrapping_add((i * g.stride_h + u) * line + rows.start);
            for _ in 0..g.out_w {
                // SAFETY: the window lies in the padded image, of which there is an element to spare; out_c is at
                // least a vector.
                unsafe { rank_one_update::<V, H, N>(&mut sums, a, 1, dy) };
                a = a.wrapping_add(step);
                dy = dy.wrapping_add(g.out_c);
            }
        }
        let to = strip.sums.wrapping_add((u * g.kernel_w * g.in_c + rows.start) * g.out_c + column);
        if lanes == V::LANES {
            for (e, sums) in sums.into_iter().enumerate() {
                if e < rows.len() {
                    for (v, sum) in sums.into_iter().enumerate() {
                        let to = to.wrapping_add(e * g.out_c + v * V::LANES);
                        // SAFETY: the sums have rows of out_c elements.
                        unsafe { if strip.accumulate { sum.add(V::load(to)) } else { sum }.store(to) };
                    }
                }
            }
            return;
        }
        // Lanes that are not new have their sum already.
        let mut all = [[0.0_f32; MOST_COLUMNS]; H];
        for (sums, all) in sums.iter().zip(&mut all) {
            for (v, sum) in sums.iter().enumerate() {
                // SAFETY: there is room for WIDTH vectors of any instruction set.
                unsafe { sum.store(all.as_mut_ptr().add(v * V::LANES)) };
            }
        }
        for (e, all) in all.iter().enumerate().take(rows.len()) {
            for (i, sum) in all.iter().enumerate().take(V::LANES).skip(V::LANES - lanes) {
                let to = to.wrapping_add(e * g.out_c + i);
                // SAFETY: as above.
                unsafe { *to = if strip.accumulate { *to + sum } else { *sum } };
            }
        }
    }
}
