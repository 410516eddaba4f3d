//! Convolution of an image of few channels, and its weight gradient. A row of a window is then shorter than
//! what packing costs: the microkernel reads the windows where they lie, in a copy of the image with its
//! padding.

use super::add_parts::add_parts;
use super::product::resolve;
use crate::context::{Context, Workspace};
use crate::gemm::microkernel::{Block, Epilogue, Panels, TileLayout, rank_one_update};
use crate::gemm::pack::Right;
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
use crate::simd::{Job, Simd};
use gannet_tensor::{Conv2dGeometry, Instruction, ops};

/// Elements of a window up to which this way is taken.
const MOST_ELEMENTS: usize = 64;

/// Windows along the width up to which this way is taken.
const MOST_WINDOWS: usize = 256;

/// Elements beyond the padded image that may be read: a window more, where tiles have even heights.
const SPARE: usize = 16;

/// Images whose weight gradients are added one after the other.
const IMAGES: usize = 4;

/// Vectors of columns of the weight gradient that are taken together.
const WIDTH: usize = 2;

pub(super) fn prepare(isa: Isa, instruction: &Instruction, stats_groups: usize) -> Option<Box<dyn Kernel>> {
    let op = &*instruction.op;
    let (mr, nr) = isa.sizes();
    let fits = |g: &Conv2dGeometry| fits(g, mr, nr);
    if let Some(op) = op.downcast::<ops::Conv2dWeightGrad>() {
        // The first part of the images is what the result begins with.
        let fits = fits(&op.geometry) && op.geometry.batch > 0;
        return fits.then(|| -> Box<dyn Kernel> { Box::new(WeightGrad { g: op.geometry }) });
    }
    let (g, epilogue) = if let Some(op) = op.downcast::<ops::Conv2d>() {
        (op.geometry, None)
    } else {
        let op = op.downcast::<ops::FusedConv2d>()?;
        (op.geometry, Some(op.epilogue))
    };
    (fits(&g) && stats_groups == 0).then(|| -> Box<dyn Kernel> { Box::new(Convolution { g, epilogue, nr }) })
}

/// Whether a window is small enough, and there are features enough.
fn fits(g: &Conv2dGeometry, mr: usize, nr: usize) -> bool {
    let run = g.kernel_w * g.in_c;
    run <= mr.min(14)
        && g.kernel_h * run <= MOST_ELEMENTS
        && g.stride_w * g.in_c <= SPARE
        && g.out_w <= MOST_WINDOWS
        && g.out_c >= nr
}

/// Elements of a row of the padded image, and of all of it with what may be read beyond it.
fn padded(g: &Conv2dGeometry) -> (usize, usize) {
    let line = ((g.out_w - 1) * g.stride_w + g.kernel_w).max(g.pad_left + g.in_w) * g.in_c;
    let height = (g.out_h - 1) * g.stride_h + g.kernel_h;
    (line, height * line + SPARE)
}

/// Copies the image at `x` with its padding to `target`.
///
/// # Safety
/// The image must be readable, the target writable for the padded image.
unsafe fn pad(g: &Conv2dGeometry, x: *const f32, target: *mut f32) {
    let (line, len) = padded(g);
    let row = g.in_w * g.in_c;
    // SAFETY: the caller vouches for both; rows beyond the last window are left out.
    unsafe {
        target.write_bytes(0, len);
        for y in 0..g.in_h.min(((len - SPARE) / line).saturating_sub(g.pad_top)) {
            let to = target.add((g.pad_top + y) * line + g.pad_left * g.in_c);
            x.add(y * row).copy_to_nonoverlapping(to, row);
        }
    }
}

struct Convolution {
    g: Conv2dGeometry,
    epilogue: Option<ops::Epilogue>,
    nr: usize,
}

impl Kernel for Convolution {
    fn workspace(&self) -> Workspace {
        let g = &self.g;
        let shared = g.kernel_h * g.kernel_w * g.in_c * g.out_c.next_multiple_of(self.nr);
        Workspace { shared, own: padded(g).1 }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (g, tensors, isa, panels) = (&self.g, &tensors, context.isa, context.shared());
        let epilogue = resolve(self.epilogue, tensors);
        let epilogue: &Epilogue = &epilogue;
        let run = g.kernel_w * g.in_c;
        let k = g.kernel_h * run;
        let right = Right::RowMajor { stride: g.out_c };
        // SAFETY: Kernel::run's contract; the workspace holds whole panels.
        unsafe { right.pack(isa, tensors.input(1), 0..k, 0..g.out_c, panels.at(0)) };
        context.threads.run(g.batch, &|worker, image| {
            let (line, _) = padded(g);
            let own = context.own(worker);
            // SAFETY: Kernel::run's contract; the workspace holds a padded image.
            unsafe { pad(g, tensors.input(0).wrapping_add(image * g.in_h * g.in_w * g.in_c), own) };
            for i in 0..g.out_h {
                let y = tensors.output.wrapping_add((image * g.out_h + i) * g.out_w * g.out_c);
                let mut rows = [std::ptr::null_mut(); MOST_WINDOWS];
                for (j, row) in rows.iter_mut().enumerate().take(g.out_w) {
                    *row = y.wrapping_add(j * g.out_c);
                }
                // SAFETY: Kernel::run's contract; the workspace holds the panels and the padded image.
                unsafe {
                    isa.run(Block {
                        a: own.wrapping_add(i * g.stride_h * line),
                        layout: TileLayout::Windows { step: g.stride_w * g.in_c, line, run },
                        b: Panels::packed(panels.at(0), k, self.nr),
                        kc: k,
                        columns: g.out_c,
                        rows: &rows[..g.out_w],
                        accumulate: false,
                        epilogue: Some(*epilogue),
                        next: None,
                    })
                };
            }
        });
    }
}

struct WeightGrad {
    g: Conv2dGeometry,
}

impl WeightGrad {
    /// Elements of the kernel, and of a sum over some images.
    fn len(&self) -> usize {
        self.g.kernel_h * self.g.kernel_w * self.g.in_c * self.g.out_c
    }
}

impl Kernel for WeightGrad {
    fn workspace(&self) -> Workspace {
        Workspace { shared: (self.g.batch.div_ceil(IMAGES) - 1) * self.len(), own: padded(&self.g).1 }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (g, tensors, isa, len) = (&self.g, &tensors, context.isa, self.len());
        let partials = context.shared();
        let parts = g.batch.div_ceil(IMAGES);
        context.threads.run(parts, &|worker, part| {
            let own = context.own(worker);
            // The first part goes straight to the result.
            let sums = if part > 0 { partials.at((part - 1) * len) } else { tensors.output };
            let first = part * IMAGES;
            for image in first..g.batch.min(first + IMAGES) {
                // SAFETY: Kernel::run's contract; the workspace holds a padded image.
                unsafe { pad(g, tensors.input(0).wrapping_add(image * g.in_h * g.in_w * g.in_c), own) };
                let dy = tensors.input(1).wrapping_add(image * g.out_h * g.out_w * g.out_c);
                // SAFETY: Kernel::run's contract; the workspace holds the padded image, and each task has sums of its own.
                unsafe { isa.run(AddImage { g, padded: own, dy, sums, accumulate: image > first }) };
            }
        });
        // SAFETY: dw has the elements of one part, the workspace those of the others.
        unsafe { add_parts(context, tensors.output, partials.at(0), parts - 1, len) };
    }
}

/// Adds the weight gradient of one image: kernel row by kernel row, some columns at a time in registers.
struct AddImage<'a> {
    g: &'a Conv2dGeometry,
    padded: *const f32,
    dy: *const f32,
    sums: *mut f32,
    accumulate: bool,
}

impl Job for AddImage<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let g = self.g;
        for u in 0..g.kernel_h {
            let mut column = 0;
            while column < g.out_c {
                if column + WIDTH * V::LANES <= g.out_c {
                    self.by_height::<V, WIDTH>(u, column, V::LANES);
                    column += WIDTH * V::LANES;
                } else {
                    // The last vector ends with the columns, and computes some of them again.
                    let lanes = V::LANES.min(g.out_c - column);
                    self.by_height::<V, 1>(u, column + lanes - V::LANES, lanes);
                    column += lanes;
                }
            }
        }
    }
}

impl AddImage<'_> {
    /// Even heights, as in the microkernel; none is above 14.
    #[inline(always)]
    fn by_height<V: Simd, const N: usize>(&self, u: usize, column: usize, lanes: usize) {
        match (self.g.kernel_w * self.g.in_c).next_multiple_of(2) {
            2 => self.add::<V, 2, N>(u, column, lanes),
            4 => self.add::<V, 4, N>(u, column, lanes),
            6 => self.add::<V, 6, N>(u, column, lanes),
            8 => self.add::<V, 8, N>(u, column, lanes),
            10 => self.add::<V, 10, N>(u, column, lanes),
            12 => self.add::<V, 12, N>(u, column, lanes),
            _ => self.add::<V, 14, N>(u, column, lanes),
        }
    }

    /// Row u of the kernel, N vectors from `column` on, of which the last `lanes` lanes are new.
    #[inline(always)]
    fn add<V: Simd, const H: usize, const N: usize>(&self, u: usize, column: usize, lanes: usize) {
        let g = self.g;
        let (line, step) = (padded(g).0, g.stride_w * g.in_c);
        let mut sums = [[V::splat(0.0); N]; H];
        let mut dy = self.dy.wrapping_add(column);
        for i in 0..g.out_h {
            let mut a = self.padded.wrapping_add((i * g.stride_h + u) * line);
            for _ in 0..g.out_w {
                // SAFETY: the window lies in the padded image, of which there is an element to spare; out_c is at
                // least a vector.
                unsafe { rank_one_update::<V, H, N>(&mut sums, a, 1, dy) };
                a = a.wrapping_add(step);
                dy = dy.wrapping_add(g.out_c);
            }
        }
        let run = g.kernel_w * g.in_c;
        for (e, sums) in sums.iter().enumerate().take(run) {
            for (v, &sum) in sums.iter().enumerate() {
                let p = self.sums.wrapping_add((u * run + e) * g.out_c + column + v * V::LANES);
                // SAFETY: the sums have rows of out_c elements; lanes that are not new have their sum already.
                unsafe {
                    if lanes == V::LANES {
                        let sum = if self.accumulate { sum.add(V::load(p)) } else { sum };
                        sum.store(p);
                    } else {
                        let mut all = [0.0; 16];
                        sum.store(all.as_mut_ptr());
                        for (lane, sum) in all.iter().enumerate().take(V::LANES).skip(V::LANES - lanes) {
                            let p = p.add(lane);
                            *p = if self.accumulate { *p + sum } else { *sum };
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Scratch;
    use crate::gemm::tests::{Exact, for_each_tap, numbers};
    use crate::threads::Threads;
    use proptest::prelude::*;

    /// Runs a kernel; NaN shows what it does not write.
    fn run(isa: Isa, threads: usize, kernel: &dyn Kernel, inputs: &[&[f32]], len: usize) -> Vec<f32> {
        let threads = Threads::new(threads).unwrap();
        let mut scratch = Scratch::new(kernel.workspace(), threads.count()).unwrap();
        let context = Context::new(isa, &threads, &mut scratch);
        let mut y = vec![f32::NAN; len];
        let inputs: Vec<*const f32> = inputs.iter().map(|x| x.as_ptr()).collect();
        let tensors = Tensors { inputs: &inputs, output: y.as_mut_ptr(), stats: std::ptr::null_mut() };
        // SAFETY: the vectors have the sizes of the geometry that the kernel was made for.
        unsafe { kernel.run(&context, tensors) };
        y
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn both_maps_are_sums_over_taps(
            batch in 1_usize..7, h in 4_usize..20, w in 4_usize..20, in_c in 1_usize..4,
            out_c in prop::sample::select(vec![16_usize, 17, 32, 33, 40, 64]),
            kernel in (1_usize..6, 1_usize..6), stride in (1_usize..4, 1_usize..4),
            pad in (0_usize..4, 0_usize..4), extra in (0_usize..4, 0_usize..4),
        ) {
            let pad = (pad.0.min(kernel.0 - 1), pad.1.min(kernel.1 - 1));
            let extra = (extra.0.min(kernel.0 - 1), extra.1.min(kernel.1 - 1));
            prop_assume!(h + pad.0 + extra.0 >= kernel.0 && w + pad.1 + extra.1 >= kernel.1);
            let g = Conv2dGeometry {
                batch, in_h: h, in_w: w, in_c,
                out_h: (h + pad.0 + extra.0 - kernel.0) / stride.0 + 1,
                out_w: (w + pad.1 + extra.1 - kernel.1) / stride.1 + 1,
                out_c,
                kernel_h: kernel.0, kernel_w: kernel.1,
                stride_h: stride.0, stride_w: stride.1,
                pad_top: pad.0, pad_left: pad.1,
            };
            let (lx, ly, lw) = (g.image().len(), g.features().len(), g.kernel().len());
            let (x, y, w) = (numbers(lx, 3), numbers(ly, 4), numbers(lw, 5));
            let mut of_y = Exact::new(ly, kernel.0 * kernel.1 * in_c);
            let mut of_w = Exact::new(lw, batch * g.out_h * g.out_w);
            for_each_tap(&g, |i, o, k| {
                of_y.add(o, x[i], w[k]);
                of_w.add(k, x[i], y[o]);
            });
            for isa in Isa::available() {
                let (mr, nr) = isa.sizes();
                if fits(&g, mr, nr) {
                    let convolution = Convolution { g, epilogue: None, nr };
                    of_y.check(&run(isa, 2, &convolution, &[&x, &w], ly));
                    let one = run(isa, 1, &WeightGrad { g }, &[&x, &y], lw);
                    of_w.check(&one);
                    let three = run(isa, 3, &WeightGrad { g }, &[&x, &y], lw);
                    prop_assert!(one == three, "threads change bits");
                }
            }
        }
    }

    #[test]
    fn the_first_layer_of_the_reference_step_takes_this_way() {
        let g = Conv2dGeometry {
            batch: 2,
            in_h: 28,
            in_w: 28,
            in_c: 1,
            out_h: 14,
            out_w: 14,
            out_c: 64,
            kernel_h: 4,
            kernel_w: 4,
            stride_h: 2,
            stride_w: 2,
            pad_top: 1,
            pad_left: 1,
        };
        for isa in Isa::available() {
            let (mr, nr) = isa.sizes();
            assert!(fits(&g, mr, nr), "{isa}");
            assert!(!fits(&Conv2dGeometry { in_c: 4, ..g }, mr, nr), "{isa}");
        }
    }
}
