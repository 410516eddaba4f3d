//! Convolution and transposed convolution to few channels. As columns of a product they would leave most lanes of a
//! tile empty. Instead the lanes go along the windows: an element of the result is a dot product of its window with
//! the taps of its channel, and some windows beside one another share the taps as their channels share the windows.
//!
//! Windows are read where they lie, in a copy of some rows of the image with their padding.

use super::Taken;
use super::convolution_of::ConvolutionOf;
use super::product::resolve;
use crate::context::{Context, Workspace};
use crate::conv;
use crate::gemm::microkernel::{Epilogue, even_parts, steps};
use crate::gemm::pack::{Left, Right, Run, Windows};
use crate::gemm::{Product, Target};
use crate::kernel::{Kernel, Tensors};
use crate::simd::{Job, Simd};
use gannet_tensor::{Conv2dGeometry, Instruction, ops};
use std::ops::Range;

/// Channels of the result up to which this way is taken.
const MOST_CHANNELS: usize = 4;

/// The most dot products that are summed together: windows times channels, a multiple of 4.
const SUMS: usize = 12;

/// Elements of a padded band, for the second-level cache, and rows of windows that it has at least.
const BAND: usize = 32 * 1024;
const LEAST_ROWS: usize = 4;

/// The most lanes of a vector.
const MOST_LANES: usize = 16;

pub(super) fn prepare(
    instruction: &Instruction,
    stats_groups: usize,
    taken: Taken,
) -> Option<Box<dyn Kernel>> {
    if stats_groups > 0 {
        return None;
    }
    let ConvolutionOf { geometry, transposed: turned, epilogue } =
        ConvolutionOf::operation(&*instruction.op)?;
    let kernel = if turned { transposed(&geometry, epilogue, taken) } else { forward(&geometry, epilogue) };
    Some(Box::new(kernel?))
}

fn forward(g: &Conv2dGeometry, epilogue: Option<ops::Epilogue>) -> Option<ToFew> {
    ToFew::new(vec![conv::conv2d(g)], [g.batch, g.out_h, g.out_w, g.out_c], epilogue)
}

/// Not worth it for one channel whose taps fill panels: as columns of one product they take as little time or less.
fn transposed(g: &Conv2dGeometry, epilogue: Option<ops::Epilogue>, taken: Taken) -> Option<ToFew> {
    if taken == Taken::IfWorthIt && g.in_c == 1 && (g.kernel_h * g.kernel_w).is_multiple_of(16) {
        return None;
    }
    ToFew::new(conv::conv_transpose2d(g), [g.batch, g.in_h, g.in_w, g.in_c], epilogue)
}

struct ToFew {
    /// [N, H, W, C] of the result.
    output: [usize; 4],
    phases: Vec<Phase>,
    /// Elements of the taps of all phases.
    taps: usize,
    frame: Frame,
    /// Rows of windows of each band.
    bands: Vec<Range<usize>>,
    epilogue: Option<ops::Epilogue>,
}

/// The pixels of the result with the same taps: all of them, or every `stride`-th of a transposed convolution.
struct Phase {
    windows: Windows,
    /// The kernel [k, C].
    right: Right,
    start: [usize; 2],
    stride: [usize; 2],
    /// Where its taps lie: run after run, in each channel after channel.
    taps: usize,
}

/// The part of the padded image that windows see.
struct Frame {
    /// First row that window row 0 sees, and first column.
    origin: [isize; 2],
    /// Rows that a row of windows sees, and rows from one to the next.
    rows: usize,
    step: usize,
    /// Pixels of a row.
    width: usize,
}

impl Frame {
    fn of(phases: &[Phase]) -> Frame {
        let runs = || phases.iter().flat_map(|phase| phase.windows.runs.iter().map(move |run| (phase, run)));
        let end = |(phase, run): (&Phase, &Run)| {
            let windows = &phase.windows;
            let across = (windows.windows[1] - 1) * windows.stride[1] + run.len / windows.image[2];
            run.column + across as isize
        };
        let top = runs().map(|(_, run)| run.row).min().unwrap_or(0);
        let bottom = runs().map(|(_, run)| run.row + 1).max().unwrap_or(0);
        let left = runs().map(|(_, run)| run.column).min().unwrap_or(0);
        let right = runs().map(end).max().unwrap_or(0);
        Frame {
            origin: [top, left],
            rows: (bottom - top) as usize,
            step: phases[0].windows.stride[0],
            width: (right - left) as usize,
        }
    }

    /// Rows that some rows of windows see.
    fn height(&self, windows: usize) -> usize {
        (windows - 1) * self.step + self.rows
    }
}

impl ToFew {
    /// None if there are too many channels, or none to sum over.
    fn new(products: Vec<Product>, output: [usize; 4], epilogue: Option<ops::Epilogue>) -> Option<ToFew> {
        let channels = output[3];
        if channels > MOST_CHANNELS || output.contains(&0) {
            return None;
        }
        let mut taps = 0;
        let mut phases = Vec::new();
        for product in products {
            let Left::Windows(windows) = product.left else { return None };
            if windows.image[2] == 0 {
                return None;
            }
            let (start, stride) = match product.target {
                Target::Rows { .. } => ([0, 0], [1, 1]),
                Target::Pixels { start, stride, .. } => (start, stride),
            };
            let len: usize = windows.runs.iter().map(|run| channels * padded(run.len)).sum();
            phases.push(Phase { windows, right: product.right, start, stride, taps });
            taps += len;
        }
        let frame = Frame::of(&phases);
        let rows = phases.iter().map(|phase| phase.windows.windows[0]).max()?;
        let line = frame.width * phases[0].windows.image[2];
        let band = (BAND / (line * frame.step).max(1)).saturating_sub(frame.rows).max(LEAST_ROWS);
        let bands = even_parts(rows, band).collect();
        Some(ToFew { output, phases, taps, frame, bands, epilogue })
    }

    /// Elements of a row of the padded image.
    fn line(&self) -> usize {
        self.frame.width * self.phases[0].windows.image[2]
    }

    /// Elements of the padded image of a band, with what windows beyond a row's end read.
    fn band(&self) -> usize {
        let rows = self.bands.iter().map(|band| self.frame.height(band.len())).max().unwrap_or(0);
        let windows = &self.phases[0].windows;
        rows * self.line() + SUMS * windows.stride[1] * windows.image[2] + MOST_LANES
    }

    /// Writes the taps of all phases, each run of a channel filled up with zeros.
    ///
    /// # Safety
    /// `w` must be readable for the kernel, `target` writable for `taps` elements.
    unsafe fn pack(&self, w: *const f32, target: *mut f32) {
        let mut to = target;
        for phase in &self.phases {
            let mut first = 0;
            for run in &phase.windows.runs {
                for channel in 0..self.output[3] {
                    for k in 0..padded(run.len) {
                        // SAFETY: the caller vouches for both; k lies in the run.
                        unsafe {
                            let x =
                                if k < run.len { *w.add(phase.right.at(first + k, channel)) } else { 0.0 };
                            *to = x;
                        }
                        to = to.wrapping_add(1);
                    }
                }
                first += run.len;
            }
        }
    }

    /// Copies what a band of windows sees of the image at `x` to `target`, with its padding.
    ///
    /// # Safety
    /// The image must be readable, the target writable for the padded band.
    unsafe fn pad(&self, x: *const f32, band: &Range<usize>, target: *mut f32) {
        let [height, width, channels] = self.phases[0].windows.image;
        let [top, left] = self.frame.origin;
        let line = self.line();
        // Columns of the frame that lie in the image.
        let from = (-left).clamp(0, self.frame.width as isize) as usize;
        let to = (width as isize - left).clamp(from as isize, self.frame.width as isize) as usize;
        for n in 0..self.frame.height(band.len()) {
            let row = (band.start * self.frame.step + n) as isize + top;
            let target = target.wrapping_add(n * line);
            // SAFETY: the caller vouches for both; the copied columns lie in the image and in the frame.
            unsafe {
                if row < 0 || row as usize >= height {
                    target.write_bytes(0, line);
                    continue;
                }
                let row = x.wrapping_add(row as usize * width * channels);
                target.write_bytes(0, from * channels);
                let source = row.wrapping_offset((from as isize + left) * channels as isize);
                let copied = (to - from) * channels;
                source.copy_to_nonoverlapping(target.wrapping_add(from * channels), copied);
                target.wrapping_add(to * channels).write_bytes(0, line - to * channels);
            }
        }
    }
}

/// Elements of a run of taps, filled up to whole vectors of any instruction set.
fn padded(run: usize) -> usize {
    run.next_multiple_of(MOST_LANES)
}

impl Kernel for ToFew {
    fn workspace(&self) -> Workspace {
        let row = self.output[2] * self.output[3] + MOST_LANES;
        Workspace { shared: self.taps, own: self.band() + row }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (tensors, isa, taps) = (&tensors, context.isa, context.shared());
        let epilogue = resolve(self.epilogue, tensors);
        let epilogue = &epilogue;
        // SAFETY: Kernel::run's contract; the workspace holds the taps.
        unsafe { self.pack(tensors.input(1), taps.at(0)) };
        let [batch, height, width, channels] = self.output;
        let mut bias = [0.0; SUMS];
        if !epilogue.bias.is_null() {
            for (i, bias) in bias.iter_mut().enumerate() {
                // SAFETY: a bias has one element per channel.
                *bias = unsafe { *epilogue.bias.add(i % channels) };
            }
        }
        let bias = &bias;
        let image: usize = self.phases[0].windows.image.iter().product();
        context.threads.run(batch * self.bands.len(), &|worker, task| {
            let (n, band) = (task / self.bands.len(), &self.bands[task % self.bands.len()]);
            let source = context.own(worker);
            let sums = source.wrapping_add(self.band());
            // SAFETY: Kernel::run's contract; the workspace holds a padded band.
            unsafe { self.pad(tensors.input(0).wrapping_add(n * image), band, source) };
            for i in band.clone() {
                // The phases of one row of the result.
                for phases in self.phases.chunk_by(|a, b| a.start[0] == b.start[0]) {
                    if i >= phases[0].windows.windows[0] {
                        continue;
                    }
                    for phase in phases {
                        let from = source.wrapping_add((i - band.start) * self.frame.step * self.line());
                        let row =
                            Row { kernel: self, phase, source: from, taps: taps.at(phase.taps), bias, sums };
                        // SAFETY: Kernel::run's contract; the band was copied and the taps were packed above.
                        unsafe {
                            match channels {
                                1 => isa.run(Windowed::<8, 1>(row)),
                                2 => isa.run(Windowed::<6, 2>(row)),
                                3 => isa.run(Windowed::<4, 3>(row)),
                                _ => isa.run(Windowed::<3, 4>(row)),
                            }
                        }
                    }
                    let row = phases[0].start[0] + i * phases[0].stride[0];
                    let y = tensors.output.wrapping_add((n * height + row) * width * channels);
                    // SAFETY: Kernel::run's contract; each task has rows of its own, whose sums were computed above.
                    unsafe { isa.run(Finish { sums, y, len: width * channels, epilogue }) };
                }
            }
        });
    }
}

/// The sums of a phase in one row of the result.
struct Row<'a> {
    kernel: &'a ToFew,
    phase: &'a Phase,
    /// Where the frame of this row of windows lies.
    source: *const f32,
    taps: *const f32,
    /// The bias of each of the sums that are taken together.
    bias: &'a [f32; SUMS],
    sums: *mut f32,
}

/// P windows of C channels at a time.
struct Windowed<'a, const P: usize, const C: usize>(Row<'a>);

impl<const P: usize, const C: usize> Job for Windowed<'_, P, C> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        const { assert!(P * C <= SUMS && (P * C).is_multiple_of(4)) };
        let Row { kernel, phase, source, taps, bias, sums } = self.0;
        let (windows, [top, left]) = (&phase.windows, kernel.frame.origin);
        let (line, channels) = (kernel.line(), windows.image[2]);
        let step = windows.stride[1] * channels;
        for js in steps(windows.windows[1], P) {
            let mut products = [[V::splat(0.0); C]; P];
            let mut w = taps;
            for run in &windows.runs {
                let row = (run.row - top) as usize * line + (run.column - left) as usize * channels;
                let x = source.wrapping_add(row + js.start * step);
                let (whole, rest) = (run.len / V::LANES * V::LANES, run.len % V::LANES);
                for k in (0..whole).step_by(V::LANES) {
                    let (x, w) = (x.wrapping_add(k), w.wrapping_add(k));
                    // SAFETY: the frame has these windows, and room for P where a row ends; the taps of a channel lie
                    // beside those of the others.
                    unsafe { multiply::<V, P, C>(&mut products, x, step, w, padded(run.len), V::LANES) };
                }
                if rest > 0 {
                    let (x, w) = (x.wrapping_add(whole), w.wrapping_add(whole));
                    // SAFETY: as above.
                    unsafe { multiply::<V, P, C>(&mut products, x, step, w, padded(run.len), rest) };
                }
                w = w.wrapping_add(C * padded(run.len));
            }
            let products = products.as_flattened();
            let mut all = *bias;
            let (fours, _) = all[..P * C].as_chunks_mut::<4>();
            for (i, all) in fours.iter_mut().enumerate() {
                let four = [products[4 * i], products[4 * i + 1], products[4 * i + 2], products[4 * i + 3]];
                for (all, sum) in all.iter_mut().zip(V::sums(four)) {
                    *all += sum;
                }
            }
            for (n, j) in js.enumerate() {
                let to = (phase.start[1] + j * phase.stride[1]) * C;
                for c in 0..C {
                    // SAFETY: the workspace holds the sums of a row.
                    unsafe { *sums.wrapping_add(to + c) = all[n * C + c] };
                }
            }
        }
    }
}

/// Adds, lane by lane, `lanes` elements of P windows times those of C channels.
///
/// # Safety
/// `x + p * step` must be readable for `lanes` elements, `w + c * channel` for a vector.
#[inline(always)]
unsafe fn multiply<V: Simd, const P: usize, const C: usize>(
    products: &mut [[V; C]; P],
    x: *const f32,
    step: usize,
    w: *const f32,
    channel: usize,
    lanes: usize,
) {
    // What there is less of stays in registers, beside the products and one of the others.
    if C <= P {
        let mut taps = [V::splat(0.0); C];
        for (c, tap) in taps.iter_mut().enumerate() {
            // SAFETY: the caller vouches for it.
            *tap = unsafe { V::load(w.wrapping_add(c * channel)) };
        }
        for (p, products) in products.iter_mut().enumerate() {
            // SAFETY: the caller vouches for it.
            let x = unsafe { V::load_first(x.wrapping_add(p * step), lanes) };
            for (product, tap) in products.iter_mut().zip(taps) {
                *product = x.mul_add(tap, *product);
            }
        }
    } else {
        let mut windows = [V::splat(0.0); P];
        for (p, window) in windows.iter_mut().enumerate() {
            // SAFETY: the caller vouches for it.
            *window = unsafe { V::load_first(x.wrapping_add(p * step), lanes) };
        }
        for c in 0..C {
            // SAFETY: the caller vouches for it.
            let tap = unsafe { V::load(w.wrapping_add(c * channel)) };
            for (products, window) in products.iter_mut().zip(windows) {
                products[c] = window.mul_add(tap, products[c]);
            }
        }
    }
}

/// Stores a row of the result, whose bias has been added.
struct Finish<'a> {
    sums: *const f32,
    y: *mut f32,
    len: usize,
    epilogue: &'a Epilogue,
}

impl Job for Finish<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for range in steps(self.len, V::LANES) {
            let p = self.y.wrapping_add(range.start);
            // SAFETY: the row of the result and its sums have these elements; the epilogue belongs to the result.
            unsafe {
                let sum = V::load_first(self.sums.wrapping_add(range.start), range.len());
                self.epilogue.activate(sum, p, range.len()).store_first(p, range.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::tests::{Maps, Window, geometry, numbers};
    use crate::isa::Isa;
    use crate::kernel::tests::{checked, run};
    use proptest::prelude::*;

    type Prepare = fn(&Conv2dGeometry, Option<ops::Epilogue>) -> Option<ToFew>;

    /// Checks both maps, where their results have few channels, with a bias and an activation, and that they have the
    /// same bits for any number of threads; says how many there are.
    fn check(g: &Conv2dGeometry) -> usize {
        let Maps { x, y, w, of_y, of_x, .. } = Maps::of(g);
        let back = |g: &Conv2dGeometry, epilogue| transposed(g, epilogue, Taken::IfWorthIt);
        let maps: [(_, _, _, Prepare); 2] = [(of_y, &x, g.out_c, forward), (of_x, &y, g.in_c, back)];
        let mut count = 0;
        for (exact, input, channels, kernel) in maps {
            let Some(plain) = kernel(g, None) else { continue };
            let (len, bias) = (exact.value.len(), numbers(channels, 6));
            let activation = ops::Activation::LeakyRelu { negative_slope: 0.2 };
            let fused = kernel(g, Some(ops::Epilogue::BiasActivation(activation))).unwrap();
            let gradient = kernel(g, Some(ops::Epilogue::ActivationGrad(activation))).unwrap();
            let mask = numbers(len, 7);
            for isa in Isa::available() {
                let raw = checked(isa, &plain, &[input, &w], &exact);
                let leaky = |x: f32, y: f32| if y > 0.0 { x } else { 0.2 * x };
                for (i, got) in run(isa, 2, &fused, &[input, &w, &bias], len).into_iter().enumerate() {
                    let sum = raw[i] + bias[i % channels];
                    assert_eq!(got, leaky(sum, sum), "{isa}: {g:?}");
                }
                for (i, got) in run(isa, 2, &gradient, &[input, &w, &mask], len).into_iter().enumerate() {
                    assert_eq!(got, leaky(raw[i], mask[i]), "{isa}: {g:?}");
                }
            }
            count += 1;
        }
        count
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn both_maps_are_convolutions(
            batch in 1_usize..4, h in 1_usize..20, w in 1_usize..20, few in 1_usize..5,
            many in prop::sample::select(vec![1_usize, 3, 7, 8, 12, 16, 17, 40]),
            kernel in (1_usize..6, 1_usize..6), stride in (1_usize..4, 1_usize..4),
            pad in (0_usize..4, 0_usize..4), extra in (0_usize..4, 0_usize..4), features_are_few: bool,
        ) {
            let channels = if features_are_few { (many, few) } else { (few, many) };
            let g = geometry(batch, (h, w), channels, Window { kernel, stride, pad, extra });
            prop_assume!(g.is_some());
            let g = g.unwrap();
            let taps = g.kernel_h * g.kernel_w;
            let [to_features, to_image] =
                [g.out_c <= MOST_CHANNELS, g.in_c <= MOST_CHANNELS && !(g.in_c == 1 && taps.is_multiple_of(16))];
            prop_assert_eq!(check(&g), usize::from(to_features) + usize::from(to_image));
        }
    }

    #[test]
    fn images_of_several_bands_are_convolutions() {
        let g = Conv2dGeometry {
            batch: 2,
            in_h: 23,
            in_w: 29,
            in_c: 128,
            out_h: 23,
            out_w: 29,
            out_c: 3,
            kernel_h: 3,
            kernel_w: 3,
            stride_h: 1,
            stride_w: 1,
            pad_top: 1,
            pad_left: 1,
        };
        assert!(forward(&g, None).is_some_and(|kernel| kernel.bands.len() > 1));
        assert_eq!(check(&g), 1);
    }
}
