//! `conv2d` and `conv_transpose2d`.
//!
//! The transformed kernel is made once, by all threads. Then a task takes a block of tiles from the tensor
//! to the result: windows at the points, 25 products over channels, outputs with their epilogue and their
//! share of the batch statistics. All of it stays in the second-level cache.

use super::ZEROS;
use super::grid::{Grid, Tile, Tiles};
use super::transform::{Extent, FromTaps, FromWindow, OUTPUTS, POINTS, TAPS, ToOutputs, Transform, WINDOW};
use crate::context::{Context, Shared, Workspace};
use crate::gemm::Sizes;
use crate::gemm::microkernel::{Block, Epilogue, KC, ROW_STRIDE, TileLayout, even_parts, steps};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
use crate::kernels::product::resolve;
use crate::moments;
use crate::simd::{Job, Simd};
use gannet_tensor::ops;
use std::ops::Range;

/// Which way a kernel w [4, 4, C_in, C_out] is applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    /// From the phases of the image times C_in to C_out; tap (t, s) of phase (a, b) is w[2t + a, 2s + b].
    Forward,
    /// From C_out to the phases of the image times C_in, the taps in reverse order.
    Transposed,
}

/// A convolution with taps [2, 2] between two tensors.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) direction: Direction,
    /// Windows of a tile begin at its first cell, and so do its outputs.
    pub(super) source: Grid,
    pub(super) target: Grid,
    pub(super) tiles: Tiles,
    /// C_in and C_out of the kernel.
    pub(super) channels: [usize; 2],
}

/// Elements that the transformed windows and the products of a task may take: most of a second-level cache.
const TASK_ELEMENTS: usize = 300 * 1024;

/// Tiles of a task at most, and at least if the kernel is to be read for so few.
const MOST_TILES: usize = 28;
const LEAST_TILES: usize = 8;

/// Tasks that there should be, to balance some threads.
const TASKS: usize = 8;

/// Elements between neighbouring points beyond what they hold: points that lie a power of two apart would
/// share cache sets.
const GAP: usize = 16;

pub(super) struct Convolution {
    map: Map,
    epilogue: Option<ops::Epilogue>,
    /// Terms of each product, and its columns.
    k: usize,
    columns: usize,
    nr: usize,
    /// Tiles of the largest task.
    height: usize,
    tasks: Vec<Task>,
    /// Groups of the batch statistics, 0 if there are none.
    groups: usize,
}

struct Task {
    tiles: Range<usize>,
    /// See [`Tiles::groups`].
    groups: [usize; 5],
    /// Pixels of the result, and the group of its statistics.
    pixels: usize,
    group: usize,
}

impl Convolution {
    /// None if there are so many channels that a task would read the kernel for a handful of tiles.
    pub(super) fn new(
        isa: Isa,
        map: Map,
        epilogue: Option<ops::Epilogue>,
        groups: usize,
    ) -> Option<Convolution> {
        let (mr, nr) = isa.run(Sizes);
        let (k, columns) = (map.source.channels(), map.target.channels());
        let fit = TASK_ELEMENTS / (POINTS * (k + columns));
        if fit < LEAST_TILES {
            return None;
        }
        let parts = groups.max(1);
        let tiles = map.tiles.count() / parts;
        let fit = fit.min(MOST_TILES).min(tiles.div_ceil(TASKS.div_ceil(parts)).max(LEAST_TILES));
        let fit = if fit > mr { fit / mr * mr } else { fit };
        // Whole images, where that makes no great difference: neighbouring tiles share pixels.
        let unit = if map.tiles.per_image() <= fit / 3 { map.tiles.per_image() } else { 1 };
        let mut tasks = Vec::new();
        for group in 0..parts {
            for part in even_parts(tiles / unit, fit / unit) {
                let start = group * tiles;
                let tiles = start + part.start * unit..start + part.end * unit;
                let (groups, pixels) = (map.tiles.groups(tiles.clone()), map.pixels(tiles.clone()));
                tasks.push(Task { tiles, groups, pixels, group });
            }
        }
        let height = tasks.iter().map(|task| task.tiles.len()).max().unwrap_or(0);
        Some(Convolution { map, epilogue, k, columns, nr, height, tasks, groups })
    }

    /// Elements from one point of the transformed kernel to the next: ranges of k, each in panels.
    fn kernel_stride(&self) -> usize {
        self.k * self.columns.next_multiple_of(self.nr) + GAP
    }

    /// Elements from one point of a task's windows to the next: ranges of k, each in rows of ROW_STRIDE, and
    /// one row that a tile of an odd height reads too much.
    fn window_stride(&self) -> usize {
        (self.k.div_ceil(KC) * self.height + 1) * ROW_STRIDE + GAP
    }

    /// Elements from one row of a task's products to the next.
    fn row_stride(&self) -> usize {
        self.columns + GAP
    }

    fn product_stride(&self) -> usize {
        self.height * self.row_stride() + GAP
    }

    /// Elements of the shared workspace before the moments of the tasks.
    fn kernel_len(&self) -> usize {
        POINTS * self.kernel_stride()
    }

    /// Channels of the result.
    fn channels(&self) -> usize {
        self.map.target.image[2]
    }
}

impl Kernel for Convolution {
    fn workspace(&self) -> Workspace {
        let moments = if self.groups > 0 { self.tasks.len() * 2 * self.channels() } else { 0 };
        let own = POINTS * (self.window_stride() + self.product_stride()) + 3 * self.channels();
        Workspace { shared: self.kernel_len() + moments, own }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (tensors, isa, kernel) = (&tensors, context.isa, context.shared());
        let epilogue = &resolve(self.epilogue, tensors);
        // A work item is one panel of one range of k.
        let ranges = self.k.div_ceil(KC);
        context.threads.run(self.columns.div_ceil(self.nr) * ranges, &|_, i| {
            isa.run(TransformKernel {
                convolution: self,
                w: tensors.input(1),
                panel: i / ranges,
                ks: i % ranges * KC..self.k.min((i % ranges + 1) * KC),
                target: kernel.at(0),
            });
        });
        let moments = Shared(kernel.at(self.kernel_len()));
        context.threads.run(self.tasks.len(), &|worker, i| {
            let Task { tiles, groups, .. } = &self.tasks[i];
            let windows = context.own(worker);
            let products = windows.wrapping_add(POINTS * self.window_stride());
            isa.run(TransformWindows {
                grid: &self.map.source,
                tiles: self.map.tiles,
                block: tiles.clone(),
                part: tiles.clone(),
                x: tensors.input(0),
                target: windows,
                point: self.window_stride(),
                range_stride: self.height * ROW_STRIDE,
            });
            for point in 0..POINTS {
                let mut rows = [std::ptr::null_mut(); MOST_TILES];
                for (n, row) in rows.iter_mut().enumerate() {
                    *row = products.wrapping_add(point * self.product_stride() + n * self.row_stride());
                }
                let of_point = Tiles::rows(groups, point);
                for (range, ks) in steps(self.k, KC).enumerate() {
                    let row = range * self.height + of_point.start;
                    let a = point * self.window_stride() + row * ROW_STRIDE;
                    let b = point * self.kernel_stride() + ks.start * self.columns.next_multiple_of(self.nr);
                    isa.run(Block {
                        a: windows.wrapping_add(a),
                        layout: TileLayout::RowMajor,
                        b: kernel.at(b),
                        panel_stride: ks.len() * self.nr,
                        kc: ks.len(),
                        columns: self.columns,
                        rows: &rows[of_point.clone()],
                        accumulate: ks.start > 0,
                        epilogue: None,
                    });
                }
            }
            isa.run(TransformOutputs {
                convolution: self,
                range: tiles.clone(),
                products,
                y: tensors.output,
                epilogue,
                sums: (self.groups > 0).then(|| products.wrapping_add(POINTS * self.product_stride())),
                moments: moments.at(i * 2 * self.channels()),
            });
        });
        for group in 0..self.groups {
            let channels = self.channels();
            let parts = self.tasks.iter().enumerate().filter(|(_, task)| task.group == group);
            let parts = parts.map(|(i, task)| {
                let of_task = moments.at(i * 2 * channels).cast_const();
                (task.pixels, of_task, channels)
            });
            let out = tensors.stats.wrapping_add(group * 2 * channels);
            // SAFETY: every task wrote its moments; the caller vouches for the statistics.
            unsafe { moments::merge(isa, channels, parts, [out, out.wrapping_add(channels)]) };
        }
    }
}

impl Map {
    /// Pixels of the result that some tiles give.
    fn pixels(&self, range: Range<usize>) -> usize {
        let mut count = 0;
        for tile in self.tiles.of_block(range.clone(), range) {
            for (_, phase) in self.target.phases() {
                let pixels = tile.outputs(&self.target, phase);
                count += pixels.as_flattened().iter().flatten().count();
            }
        }
        count
    }
}

/// Writes a panel of the kernel at each point: element (k, column) at `k * NR + column` of the panel.
struct TransformKernel<'a> {
    convolution: &'a Convolution,
    w: *const f32,
    panel: usize,
    ks: Range<usize>,
    target: *mut f32,
}

impl Job for TransformKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Simd>(self) {
        let convolution = self.convolution;
        let stride = convolution.kernel_stride();
        let start =
            self.ks.start * convolution.columns.next_multiple_of(V::NR) + self.panel * self.ks.len() * V::NR;
        let columns = self.panel * V::NR..convolution.columns.min((self.panel + 1) * V::NR);
        for column in columns.clone().step_by(V::LANES) {
            for k in self.ks.clone() {
                let at = start + (k - self.ks.start) * V::NR + (column - columns.start);
                let points = FromTaps::square([Extent::Four; 2], self.taps::<V>(k, column));
                for (point, value) in points.as_flattened().iter().enumerate() {
                    // SAFETY: the workspace holds whole panels of every point.
                    unsafe { value.store(self.target.wrapping_add(point * stride + at)) };
                }
            }
        }
    }
}

impl TransformKernel<'_> {
    /// The taps from term k to a vector of columns. Channels are multiples of 16, so of vectors.
    #[inline(always)]
    fn taps<V: Simd>(&self, k: usize, column: usize) -> [[V; TAPS]; TAPS] {
        let [in_c, out_c] = self.convolution.map.channels;
        let mut taps = [[V::splat(0.0); TAPS]; TAPS];
        for (t, row) in taps.iter_mut().enumerate() {
            for (s, tap) in row.iter_mut().enumerate() {
                // SAFETY, for both: w has 4 x 4 taps of in_c x out_c elements.
                *tap = match self.convolution.map.direction {
                    Direction::Forward => {
                        let (phase, c) = (k / in_c, k % in_c);
                        let tap = (2 * t + phase / 2) * 4 + 2 * s + phase % 2;
                        // SAFETY: see above.
                        unsafe { V::load(self.w.wrapping_add((tap * in_c + c) * out_c + column)) }
                    }
                    Direction::Transposed => {
                        let (phase, c) = (column / in_c, column % in_c);
                        let tap = (2 * (1 - t) + phase / 2) * 4 + 2 * (1 - s) + phase % 2;
                        let mut lanes = [0.0; 16];
                        for (lane, x) in lanes.iter_mut().enumerate().take(V::LANES) {
                            // SAFETY: see above.
                            *x = unsafe { *self.w.wrapping_add((tap * in_c + c + lane) * out_c + k) };
                        }
                        // SAFETY: no vector has more than 16 lanes.
                        unsafe { V::load(lanes.as_ptr()) }
                    }
                };
            }
        }
        taps
    }
}

/// Prefetches the next image while the tiles of this one are read: a window touches so many rows of so few
/// cache lines that the processor sees no pattern.
pub(super) struct Ahead {
    next: *const f32,
    /// Elements for each step.
    share: usize,
}

/// Elements of a cache line.
const LINE: usize = 16;

impl Ahead {
    /// The share of one tile, which takes `rounds` steps.
    #[inline(always)]
    pub(super) fn new(grid: &Grid, tiles: Tiles, tile: &Tile, rounds: usize, tensor: *const f32) -> Ahead {
        let size: usize = grid.image.iter().product();
        let share = size.div_ceil(tiles.per_image() * rounds);
        Ahead { next: tensor.wrapping_add((tile.image + 1) * size + tile.number * rounds * share), share }
    }

    #[inline(always)]
    pub(super) fn step<V: Simd>(&mut self) {
        for line in (0..self.share).step_by(LINE) {
            V::prefetch(self.next.wrapping_add(line));
        }
        self.next = self.next.wrapping_add(self.share);
    }
}

/// Writes the windows of some tiles of a block at each point: element (tile, k) in the tile's row of the
/// range that k lies in.
pub(super) struct TransformWindows<'a> {
    pub(super) grid: &'a Grid,
    pub(super) tiles: Tiles,
    pub(super) block: Range<usize>,
    pub(super) part: Range<usize>,
    pub(super) x: *const f32,
    pub(super) target: *mut f32,
    /// Elements from point to point and from range to range of KC terms.
    pub(super) point: usize,
    pub(super) range_stride: usize,
}

impl Job for TransformWindows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Simd>(self) {
        let channels = self.grid.image[2];
        let rounds = self.grid.channels() / V::LANES;
        for tile in self.tiles.of_block(self.block.clone(), self.part.clone()) {
            let mut ahead = Ahead::new(self.grid, self.tiles, &tile, rounds, self.x);
            for (first, phase) in self.grid.phases() {
                let pixels = self.grid.pixels::<WINDOW>(tile.image, tile.first, phase);
                let pixels =
                    pixels.map(|row| row.map(|at| at.map_or(ZEROS.as_ptr(), |at| self.x.wrapping_add(at))));
                for c in (0..channels).step_by(V::LANES) {
                    ahead.step::<V>();
                    let mut window = [[V::splat(0.0); WINDOW]; WINDOW];
                    for (row, pixels) in window.iter_mut().zip(&pixels) {
                        for (x, pixel) in row.iter_mut().zip(pixels) {
                            // SAFETY: the pixel has `channels` elements, a multiple of vectors; so have the zeros.
                            *x = unsafe { V::load(pixel.wrapping_add(c)) };
                        }
                    }
                    let k = first + c;
                    let at = k / KC * self.range_stride + tile.row * ROW_STRIDE + k % KC;
                    let points = FromWindow::square(tile.extents, window);
                    for (point, value) in points.as_flattened().iter().enumerate() {
                        if tile.has(point) {
                            // SAFETY: the workspace has a row for every tile, range and point.
                            unsafe { value.store(self.target.wrapping_add(point * self.point + at)) };
                        }
                    }
                }
            }
        }
    }
}

/// Stores the outputs of some tiles, and the moments of their channels if they are wanted.
struct TransformOutputs<'a> {
    convolution: &'a Convolution,
    range: Range<usize>,
    products: *const f32,
    y: *mut f32,
    epilogue: &'a Epilogue,
    /// Three rows of channels: a shift, and the sums of deviations from it and of their squares.
    sums: Option<*mut f32>,
    moments: *mut f32,
}

impl Job for TransformOutputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Simd>(self) {
        let Map { target: grid, tiles, .. } = &self.convolution.map;
        let channels = grid.image[2];
        let rounds = grid.channels() / V::LANES;
        let mut count = 0;
        for tile in tiles.of_block(self.range.clone(), self.range.clone()) {
            // What the epilogue reads comes from memory, as a rule.
            let mask = self.epilogue.grad.map(|(distance, _)| self.y.wrapping_offset(distance));
            let mut ahead = mask.map(|y| Ahead::new(grid, *tiles, &tile, rounds, y));
            for (first, phase) in grid.phases() {
                let pixels = tile.outputs(grid, phase);
                let mut inside = [(0, 0); OUTPUTS * OUTPUTS];
                let mut len = 0;
                for (i, pixel) in pixels.as_flattened().iter().enumerate() {
                    if let Some(pixel) = *pixel {
                        inside[len] = (i, pixel);
                        len += 1;
                    }
                }
                let inside = &inside[..len];
                if inside.is_empty() {
                    continue;
                }
                let row = self.products.wrapping_add(tile.row * self.convolution.row_stride() + first);
                for c in (0..channels).step_by(V::LANES) {
                    if let Some(ahead) = &mut ahead {
                        ahead.step::<V>();
                    }
                    self.channels::<V>(&tile, row.wrapping_add(c), inside, c, count == 0);
                }
                count += len;
            }
        }
        if let Some(sums) = self.sums {
            let reciprocal = V::splat(1.0 / count.max(1) as f32);
            for c in (0..channels).step_by(V::LANES) {
                let [shift, sum, squares] = [0, 1, 2].map(|row| sums.wrapping_add(row * channels + c));
                // SAFETY: the sums have three rows of channels, the moments two.
                unsafe {
                    let mean = V::load(sum).mul(reciprocal);
                    let deviations = V::load(squares).sub(V::load(sum).mul(mean)).max(V::splat(0.0));
                    mean.add(V::load(shift)).store(self.moments.wrapping_add(c));
                    deviations.store(self.moments.wrapping_add(channels + c));
                }
            }
        }
    }
}

impl TransformOutputs<'_> {
    /// A vector of channels of one tile: products from `row` on, to the pixels `inside` the image, each an
    /// output's number and where it goes.
    #[inline(always)]
    fn channels<V: Simd>(
        &self,
        tile: &Tile,
        row: *const f32,
        inside: &[(usize, usize)],
        c: usize,
        first: bool,
    ) {
        let stride = self.convolution.product_stride();
        let mut products = [[V::splat(0.0); WINDOW]; WINDOW];
        for (point, product) in products.as_flattened_mut().iter_mut().enumerate() {
            if tile.has(point) {
                // SAFETY: the workspace has products for every point.
                *product = unsafe { V::load(row.wrapping_add(point * stride)) };
            }
        }
        let mut outputs = ToOutputs::square(tile.extents, products);
        let outputs = outputs.as_flattened_mut();
        for &(i, pixel) in inside {
            let p = self.y.wrapping_add(pixel + c);
            // SAFETY: the pixel has channels from c on, a multiple of vectors, and so have what the epilogue reads.
            unsafe {
                outputs[i] = self.epilogue.apply(outputs[i], c, p, V::LANES);
                outputs[i].store(p);
            }
        }
        let Some(sums) = self.sums else { return };
        let channels = self.convolution.channels();
        let [shift, sum, squares] = [0, 1, 2].map(|row| sums.wrapping_add(row * channels + c));
        // SAFETY: the sums have three rows of channels.
        unsafe {
            let zero = V::splat(0.0);
            if first {
                outputs[inside[0].0].store(shift);
                zero.store(sum);
                zero.store(squares);
            }
            // Tile by tile: fewer roundings than one after the other.
            let (by, mut of_tile, mut of_squares) = (V::load(shift), zero, zero);
            for &(i, _) in inside {
                let x = outputs[i].sub(by);
                of_tile = of_tile.add(x);
                of_squares = x.mul_add(x, of_squares);
            }
            V::load(sum).add(of_tile).store(sum);
            V::load(squares).add(of_squares).store(squares);
        }
    }
}
