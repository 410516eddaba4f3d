//! `conv2d` and `conv_transpose2d`.
//!
//! The transformed kernel is made first. Then a task takes a block of tiles from the tensor to the result: what
//! a tile reads at the points, 25 products over channels, what it gives with its epilogue and its share of the
//! batch statistics. All of it stays in the second-level cache.

use super::grid::{Grid, Tile, Tiles, ZEROS};
use super::transform::{
    Extent, FromOutputs, FromTaps, FromWindow, OUTPUTS, POINTS, TAPS, ToOutputs, ToWindow, Transform, WINDOW,
    by_extents, has,
};
use crate::context::{Context, Shared, Workspace};
use crate::gemm::microkernel::{
    Block, Epilogue, KC, LINE, Panels, ROW_STRIDE, TileLayout, even_parts, steps,
};
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
    /// From cells, the phases of the image times C_in, to features; tap (t, s) of phase (a, b) is
    /// w[2t + a, 2s + b].
    Forward,
    /// From features to cells: every tile adds to its window.
    Transposed,
}

/// A convolution with taps [2, 2] between two tensors.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) direction: Direction,
    /// A tile's window begins at its first cell, and so do its outputs.
    pub(super) cells: Grid,
    pub(super) features: Grid,
    pub(super) tiles: Tiles,
}

impl Map {
    fn source(&self) -> &Grid {
        if self.direction == Direction::Forward { &self.cells } else { &self.features }
    }

    fn target(&self) -> &Grid {
        if self.direction == Direction::Forward { &self.features } else { &self.cells }
    }

    /// Pixels of the result that a block of tiles gives.
    fn pixels(&self, block: Range<usize>) -> usize {
        let [height, width, _] = self.target().image;
        match self.direction {
            Direction::Transposed => block.len() / self.tiles.per_image() * height * width,
            Direction::Forward => {
                let outputs = |tile: Tile| tile.outputs(&self.features, [0, 0]);
                self.tiles
                    .of_block(block)
                    .map(|tile| outputs(tile).as_flattened().iter().flatten().count())
                    .sum()
            }
        }
    }
}

/// Elements that the transformed tiles and the products of a task may take: most of a second-level cache.
const TASK_ELEMENTS: usize = 300 * 1024;

/// Tiles of an image where a task must take all of it.
pub(super) const MOST_TILES: usize = 64;

/// Tiles of a task otherwise, and at least if the kernel is to be read for so few.
const BLOCK_TILES: usize = 28;
const LEAST_TILES: usize = 8;

/// Tasks that there should be, to balance some threads.
const TASKS: usize = 8;

/// Threads up to which each makes a transformed kernel of its own. Where cores share no cache, to overwrite
/// what others have read takes ten times as long as to make it.
const MOST_COPIES: usize = 4;

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
        let (mr, nr) = isa.sizes();
        let (k, columns) = (map.source().channels(), map.target().channels());
        let fit = TASK_ELEMENTS / (POINTS * (k + columns));
        if fit < LEAST_TILES {
            return None;
        }
        let parts = groups.max(1);
        let tiles = map.tiles.count() / parts;
        let fit = fit.min(BLOCK_TILES).min(tiles.div_ceil(TASKS.div_ceil(parts)).max(LEAST_TILES));
        let fit = if fit > mr { fit / mr * mr } else { fit };
        // Whole images, where that makes no great difference: neighbouring tiles share pixels.
        let per_image = map.tiles.per_image();
        let whole = per_image <= fit / 3 || map.direction == Direction::Transposed;
        let unit = if whole { per_image } else { 1 };
        let mut tasks = Vec::new();
        for group in 0..parts {
            for part in even_parts(tiles / unit, (fit / unit).max(1)) {
                let start = group * tiles;
                let tiles = start + part.start * unit..start + part.end * unit;
                let (groups, pixels) = (map.tiles.groups(tiles.clone()), map.pixels(tiles.clone()));
                tasks.push(Task { tiles, groups, pixels, group });
            }
        }
        let height = tasks.iter().map(|task| task.tiles.len()).max().unwrap_or(0);
        // A run has room for the pointers of so many rows.
        assert!(height <= MOST_TILES, "a task of {height} tiles, of which there may be {MOST_TILES}");
        Some(Convolution { map, epilogue, k, columns, nr, height, tasks, groups })
    }

    /// Elements from one point of the transformed kernel to the next: ranges of k, each in panels.
    fn kernel_stride(&self) -> usize {
        self.k * self.columns.next_multiple_of(self.nr) + GAP
    }

    /// Elements from one point of a task's tiles to the next: ranges of k, each in rows of ROW_STRIDE, and
    /// one row that a tile of an odd height reads too much.
    fn source_stride(&self) -> usize {
        (self.k.div_ceil(KC) * self.height + 1) * ROW_STRIDE + GAP
    }

    /// Elements from one row of a task's products to the next.
    fn row_stride(&self) -> usize {
        self.columns + GAP
    }

    fn product_stride(&self) -> usize {
        self.height * self.row_stride() + GAP
    }

    /// Elements of the transformed kernel.
    fn kernel_len(&self) -> usize {
        POINTS * self.kernel_stride()
    }

    /// Elements of what tiles leave to their neighbours: see [`TransformOutputs::with_neighbours`].
    fn edges_len(&self) -> usize {
        let cells = self.map.features.image[1] + 1;
        if self.map.direction == Direction::Transposed {
            (WINDOW + cells + OUTPUTS) * self.columns
        } else {
            0
        }
    }

    /// Channels of the result.
    fn channels(&self) -> usize {
        self.map.target().image[2]
    }

    /// One range of k of one panel of the transformed kernel: there are `panels * ranges`.
    fn transform_kernel(&self, isa: Isa, w: *const f32, i: usize, target: *mut f32) {
        let ranges = self.k.div_ceil(KC);
        let ks = i % ranges * KC..self.k.min((i % ranges + 1) * KC);
        // SAFETY: the caller vouches for the kernel, and for room for its points.
        unsafe { isa.run(TransformKernel { convolution: self, w, panel: i / ranges, ks, target }) };
    }
}

impl Kernel for Convolution {
    fn workspace(&self) -> Workspace {
        let moments = if self.groups > 0 { self.tasks.len() * 2 * self.channels() } else { 0 };
        let of_task = POINTS * (self.source_stride() + self.product_stride());
        let own = self.kernel_len() + of_task + 3 * self.channels() + self.edges_len();
        Workspace { shared: self.kernel_len() + moments, own }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (tensors, isa, shared) = (&tensors, context.isa, context.shared());
        let epilogue = &resolve(self.epilogue, tensors);
        let items = self.columns.div_ceil(self.nr) * self.k.div_ceil(KC);
        let copies = context.threads.count() <= MOST_COPIES;
        if !copies {
            context.threads.run(items, &|_, i| self.transform_kernel(isa, tensors.input(1), i, shared.at(0)));
        }
        let make_copy = |worker: usize| {
            for i in 0..if copies { items } else { 0 } {
                self.transform_kernel(isa, tensors.input(1), i, context.own(worker));
            }
        };
        let moments = Shared(shared.at(self.kernel_len()));
        context.threads.run_prepared(self.tasks.len(), &make_copy, &|worker, i| {
            let Task { tiles, groups, .. } = &self.tasks[i];
            let own = context.own(worker);
            let kernel = if copies { own } else { shared.at(0) };
            let sources = own.wrapping_add(self.kernel_len());
            let products = sources.wrapping_add(POINTS * self.source_stride());
            let to = AtPoints {
                start: sources,
                point: self.source_stride(),
                width: KC,
                range: self.height * ROW_STRIDE,
                row: ROW_STRIDE,
            };
            let (block, x) = (tiles.clone(), tensors.input(0));
            let (grid, tiles) = (self.map.source(), self.map.tiles);
            match self.map.direction {
                // SAFETY: Kernel::run's contract; the workspace has room for the tiles of a task.
                Direction::Forward => unsafe {
                    isa.run(TransformWindows { grid, tiles, block, phases: 0..4, x, to })
                },
                // SAFETY: Kernel::run's contract; the workspace has room for the tiles of a task.
                Direction::Transposed => unsafe { isa.run(TransformFeatures { grid, tiles, block, x, to }) },
            }
            for point in 0..POINTS {
                let of_point = Tiles::rows(groups, point);
                let mut rows = [std::ptr::null_mut(); MOST_TILES];
                for (n, row) in rows.iter_mut().enumerate().take(of_point.end) {
                    *row = products.wrapping_add(point * self.product_stride() + n * self.row_stride());
                }
                for (range, ks) in steps(self.k, KC).enumerate() {
                    let row = range * self.height + of_point.start;
                    let a = point * self.source_stride() + row * ROW_STRIDE;
                    let b = point * self.kernel_stride() + ks.start * self.columns.next_multiple_of(self.nr);
                    // SAFETY: tiles and kernel were transformed above; the products of a task are its own.
                    unsafe {
                        isa.run(Block {
                            a: sources.wrapping_add(a),
                            layout: TileLayout::RowMajor,
                            b: Panels::packed(kernel.wrapping_add(b), ks.len(), self.nr),
                            kc: ks.len(),
                            columns: self.columns,
                            rows: &rows[of_point.clone()],
                            accumulate: ks.start > 0,
                            epilogue: None,
                            next: None,
                        })
                    };
                }
            }
            let sums = products.wrapping_add(POINTS * self.product_stride());
            // SAFETY: Kernel::run's contract; the products were computed above, and each task has pixels of its own.
            unsafe {
                isa.run(TransformOutputs {
                    convolution: self,
                    block: self.tasks[i].tiles.clone(),
                    products,
                    y: tensors.output,
                    epilogue,
                    sums: (self.groups > 0).then_some(sums),
                    moments: moments.at(i * 2 * self.channels()),
                    edges: sums.wrapping_add(3 * self.channels()),
                })
            };
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

/// Where tiles are written at the points: element (row, c) of point p at
/// `p * point + c / width * range + row * self.row + c % width`.
#[derive(Clone, Copy)]
pub(super) struct AtPoints {
    pub(super) start: *mut f32,
    pub(super) point: usize,
    pub(super) width: usize,
    pub(super) range: usize,
    pub(super) row: usize,
}

impl AtPoints {
    /// Stores a vector of elements from c on at every point of a tile of H x W outputs.
    ///
    /// # Safety
    /// There must be room for it.
    #[inline(always)]
    unsafe fn store<V: Simd, const H: usize, const W: usize>(
        &self,
        row: usize,
        c: usize,
        values: [[V; WINDOW]; WINDOW],
    ) {
        let at = self.start.wrapping_add(c / self.width * self.range + row * self.row + c % self.width);
        for (point, value) in values.as_flattened().iter().enumerate() {
            if has::<H, W>(point) {
                // SAFETY: the caller vouches for the room.
                unsafe { value.store(at.wrapping_add(point * self.point)) };
            }
        }
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

/// Terms whose taps are gathered together: so many lie in a cache line.
const TERMS: usize = 16;

impl Job for TransformKernel<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let convolution = self.convolution;
        let stride = convolution.kernel_stride();
        let start =
            self.ks.start * convolution.columns.next_multiple_of(V::NR) + self.panel * self.ks.len() * V::NR;
        let columns = self.panel * V::NR..convolution.columns.min((self.panel + 1) * V::NR);
        for first in self.ks.clone().step_by(TERMS) {
            for column in columns.clone().step_by(V::LANES) {
                let taps = self.taps::<V>(first, column);
                for (n, taps) in taps.into_iter().enumerate() {
                    let at = start + (first - self.ks.start + n) * V::NR + (column - columns.start);
                    let points = FromTaps::square::<V, 4, 4>(taps);
                    for (point, value) in points.as_flattened().iter().enumerate() {
                        // SAFETY: the workspace holds whole panels of every point.
                        unsafe { value.store(self.target.wrapping_add(point * stride + at)) };
                    }
                }
            }
        }
    }
}

impl TransformKernel<'_> {
    /// The taps from some terms to a vector of columns. Channels are multiples of 16: of vectors, and of terms.
    #[inline(always)]
    fn taps<V: Simd>(&self, first: usize, column: usize) -> [[[V; TAPS]; TAPS]; TERMS] {
        let map = &self.convolution.map;
        let (in_c, out_c) = (map.cells.image[2], map.features.image[2]);
        let mut taps = [[[V::splat(0.0); TAPS]; TAPS]; TERMS];
        for t in 0..TAPS {
            for s in 0..TAPS {
                let tap = |phase: usize| (2 * t + phase / 2) * 4 + 2 * s + phase % 2;
                // SAFETY, for both: w has 4 x 4 taps of in_c x out_c elements.
                match map.direction {
                    Direction::Forward => {
                        let (phase, c) = (first / in_c, first % in_c);
                        for (n, taps) in taps.iter_mut().enumerate() {
                            let at = (tap(phase) * in_c + c + n) * out_c + column;
                            // SAFETY: see above.
                            taps[t][s] = unsafe { V::load(self.w.wrapping_add(at)) };
                        }
                    }
                    Direction::Transposed => {
                        let (phase, c) = (column / in_c, column % in_c);
                        let mut lanes = [[0.0; 16]; TERMS];
                        for lane in 0..V::LANES {
                            let at = (tap(phase) * in_c + c + lane) * out_c + first;
                            for (n, lanes) in lanes.iter_mut().enumerate() {
                                // SAFETY: see above.
                                lanes[lane] = unsafe { *self.w.wrapping_add(at + n) };
                            }
                        }
                        for (taps, lanes) in taps.iter_mut().zip(&lanes) {
                            // SAFETY: no vector has more than 16 lanes.
                            taps[t][s] = unsafe { V::load(lanes.as_ptr()) };
                        }
                    }
                }
            }
        }
        taps
    }
}

/// Prefetches the next image while the tiles of this one are read: a window touches so many rows of so few
/// cache lines that the processor sees no pattern.
struct Ahead {
    next: *const f32,
    /// Elements for each step.
    share: usize,
}

impl Ahead {
    /// The share of one tile, which takes `rounds` steps.
    #[inline(always)]
    fn new(grid: &Grid, tiles: Tiles, tile: &Tile, rounds: usize, tensor: *const f32) -> Ahead {
        let size: usize = grid.image.iter().product();
        let share = size.div_ceil(tiles.per_image() * rounds);
        Ahead { next: tensor.wrapping_add((tile.image + 1) * size + tile.number * rounds * share), share }
    }

    #[inline(always)]
    fn step<V: Simd>(&mut self) {
        for line in (0..self.share).step_by(LINE) {
            V::prefetch(self.next.wrapping_add(line));
        }
        self.next = self.next.wrapping_add(self.share);
    }
}

/// Writes some phases of the windows of a block of tiles at each point.
pub(super) struct TransformWindows<'a> {
    pub(super) grid: &'a Grid,
    pub(super) tiles: Tiles,
    pub(super) block: Range<usize>,
    pub(super) phases: Range<usize>,
    pub(super) x: *const f32,
    pub(super) to: AtPoints,
}

impl Job for TransformWindows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for tile in self.tiles.of_block(self.block.clone()) {
            by_extents!(tile.extents, self.tile::<V>(&tile));
        }
    }
}

impl TransformWindows<'_> {
    #[inline(always)]
    fn tile<V: Simd, const H: usize, const W: usize>(&self, tile: &Tile) {
        let channels = self.grid.image[2];
        let rounds = self.phases.len() * channels / V::LANES;
        let mut ahead = Ahead::new(self.grid, self.tiles, tile, rounds, self.x);
        for (n, (_, phase)) in self.grid.phases().skip(self.phases.start).take(self.phases.len()).enumerate()
        {
            let pixels = self.grid.pixels::<WINDOW>(tile.image, tile.first, phase);
            let pixels =
                pixels.map(|row| row.map(|at| at.map_or(ZEROS.as_ptr(), |at| self.x.wrapping_add(at))));
            for c in (0..channels).step_by(V::LANES) {
                ahead.step::<V>();
                let mut window = [[V::splat(0.0); WINDOW]; WINDOW];
                for (i, pixels) in pixels.iter().enumerate().take(H + 1) {
                    for (j, pixel) in pixels.iter().enumerate().take(W + 1) {
                        // SAFETY: the pixel has `channels` elements, a multiple of vectors; so have the zeros.
                        window[i][j] = unsafe { V::load(pixel.wrapping_add(c)) };
                    }
                }
                let points = FromWindow::square::<V, H, W>(window);
                // SAFETY: whoever runs this gave room for every tile, channel and point.
                unsafe { self.to.store::<V, H, W>(tile.row, n * channels + c, points) };
            }
        }
    }
}

/// Writes features, or their cotangents, of a block of tiles at each point.
pub(super) struct TransformFeatures<'a> {
    pub(super) grid: &'a Grid,
    pub(super) tiles: Tiles,
    pub(super) block: Range<usize>,
    pub(super) x: *const f32,
    pub(super) to: AtPoints,
}

impl Job for TransformFeatures<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for tile in self.tiles.of_block(self.block.clone()) {
            by_extents!(tile.extents, self.tile::<V>(&tile));
        }
    }
}

impl TransformFeatures<'_> {
    #[inline(always)]
    fn tile<V: Simd, const H: usize, const W: usize>(&self, tile: &Tile) {
        let channels = self.grid.image[2];
        let mut ahead = Ahead::new(self.grid, self.tiles, tile, channels / V::LANES, self.x);
        let pixels = tile.outputs(self.grid, [0, 0]);
        let pixels = pixels.map(|row| row.map(|at| at.map_or(ZEROS.as_ptr(), |at| self.x.wrapping_add(at))));
        for c in (0..channels).step_by(V::LANES) {
            ahead.step::<V>();
            let mut outputs = [[V::splat(0.0); OUTPUTS]; OUTPUTS];
            for (i, pixels) in pixels.iter().enumerate().take(H) {
                for (j, pixel) in pixels.iter().enumerate().take(W) {
                    // SAFETY: the pixel has a multiple of vectors of channels; so have the zeros.
                    outputs[i][j] = unsafe { V::load(pixel.wrapping_add(c)) };
                }
            }
            let points = FromOutputs::square::<V, H, W>(outputs);
            // SAFETY: whoever runs this gave room for every tile, channel and point.
            unsafe { self.to.store::<V, H, W>(tile.row, c, points) };
        }
    }
}

/// Stores the results of some tiles, and the moments of their channels if they are wanted.
struct TransformOutputs<'a> {
    convolution: &'a Convolution,
    block: Range<usize>,
    products: *const f32,
    y: *mut f32,
    epilogue: &'a Epilogue,
    /// Three rows of channels: a shift, and the sums of deviations from it and of their squares.
    sums: Option<*mut f32>,
    moments: *mut f32,
    edges: *mut f32,
}

/// Pixels inside the image: which of a tile's results, and where it goes.
#[derive(Clone, Copy)]
struct Inside {
    pixels: [(usize, usize); POINTS],
    len: usize,
}

impl Inside {
    /// The first `height` x `width` of N x N places.
    #[inline(always)]
    fn of<const N: usize>(places: [[Option<usize>; N]; N], height: usize, width: usize) -> Inside {
        let mut inside = Inside { pixels: [(0, 0); POINTS], len: 0 };
        for (i, row) in places.iter().enumerate().take(height) {
            for (j, place) in row.iter().enumerate().take(width) {
                if let Some(place) = *place {
                    inside.pixels[inside.len] = (i * N + j, place);
                    inside.len += 1;
                }
            }
        }
        inside
    }
}

impl Job for TransformOutputs<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let Map { tiles, .. } = &self.convolution.map;
        let mut count = 0;
        for tile in tiles.of_block(self.block.clone()) {
            count += by_extents!(tile.extents, self.tile::<V>(&tile, count == 0));
        }
        let Some(sums) = self.sums else { return };
        let channels = self.convolution.channels();
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

impl TransformOutputs<'_> {
    /// One tile; `first` is the first with pixels inside the image. Returns the pixels that it gave.
    #[inline(always)]
    fn tile<V: Simd, const H: usize, const W: usize>(&self, tile: &Tile, first: bool) -> usize {
        let Map { direction, tiles, .. } = self.convolution.map;
        let grid = self.convolution.map.target();
        let channels = grid.image[2];
        // What the epilogue reads comes from memory, as a rule.
        let mask = self.epilogue.grad.map(|(distance, _)| self.y.wrapping_offset(distance));
        let ahead = |tensor: *mut f32| Ahead::new(grid, tiles, tile, grid.channels() / V::LANES, tensor);
        // The places of the results too: to be written, a line that no cache holds is read first.
        let (mut mask, mut place) = (mask.map(ahead), ahead(self.y));
        let mut count = 0;
        for (start, phase) in grid.phases() {
            let inside = match direction {
                Direction::Forward => Inside::of(grid.pixels::<OUTPUTS>(tile.image, tile.first, phase), H, W),
                Direction::Transposed => {
                    let places = grid.pixels::<WINDOW>(tile.image, tile.first, phase);
                    Inside::of(places, H + usize::from(tile.last[0]), W + usize::from(tile.last[1]))
                }
            };
            for c in (0..channels).step_by(V::LANES) {
                place.step::<V>();
                if let Some(mask) = &mut mask {
                    mask.step::<V>();
                }
                let products = self.products::<V, H, W>(tile, start + c);
                let first = first && count == 0;
                match direction {
                    Direction::Forward => {
                        let mut outputs = ToOutputs::square::<V, H, W>(products);
                        // SAFETY: the pixels lie in the result, and have channels from c on.
                        unsafe {
                            V::apart(StoreResults {
                                transform: self,
                                results: outputs.as_flattened_mut(),
                                inside: &inside,
                                c,
                                first,
                            })
                        };
                    }
                    Direction::Transposed => {
                        let window = ToWindow::square::<V, H, W>(products);
                        let mut window = self.with_neighbours::<V, H, W>(tile, window, start + c);
                        // SAFETY: the pixels lie in the result, and have channels from c on.
                        unsafe {
                            V::apart(StoreResults {
                                transform: self,
                                results: window.as_flattened_mut(),
                                inside: &inside,
                                c,
                                first,
                            })
                        };
                    }
                }
            }
            count += inside.len;
        }
        count
    }

    /// The products of a tile at every point, for a vector of columns.
    #[inline(always)]
    fn products<V: Simd, const H: usize, const W: usize>(
        &self,
        tile: &Tile,
        column: usize,
    ) -> [[V; WINDOW]; WINDOW] {
        let row = self.products.wrapping_add(tile.row * self.convolution.row_stride() + column);
        let mut products = [[V::splat(0.0); WINDOW]; WINDOW];
        for (point, product) in products.as_flattened_mut().iter_mut().enumerate() {
            if has::<H, W>(point) {
                // SAFETY: the workspace has products for every tile and point.
                *product = unsafe { V::load(row.wrapping_add(point * self.convolution.product_stride())) };
            }
        }
        products
    }

    /// Adds what the tiles to the left and above left of their windows, and leaves to those to the right and
    /// below what is theirs. The last row of the image's tiles, and its last column, keep all they have.
    #[inline(always)]
    fn with_neighbours<V: Simd, const H: usize, const W: usize>(
        &self,
        tile: &Tile,
        mut window: [[V; WINDOW]; WINDOW],
        column: usize,
    ) -> [[V; WINDOW]; WINDOW] {
        let stride = self.convolution.columns;
        let beside = |i: usize| self.edges.wrapping_add(i * stride + column);
        let above = |j: usize| self.edges.wrapping_add((WINDOW + tile.first[1] + j) * stride + column);
        // SAFETY: the edges have a row of columns for each row of a window, and for each cell of a line.
        unsafe {
            if tile.first[1] > 0 {
                for (i, row) in window.iter_mut().enumerate().take(H + 1) {
                    row[0] = row[0].add(V::load(beside(i)));
                }
            }
            if tile.first[0] > 0 {
                for (j, cell) in window[0].iter_mut().enumerate().take(W) {
                    *cell = cell.add(V::load(above(j)));
                }
                if tile.last[1] {
                    window[0][W] = window[0][W].add(V::load(above(W)));
                }
            }
            if !tile.last[1] {
                for (i, row) in window.iter().enumerate().take(H + 1) {
                    row[W].store(beside(i));
                }
            }
            if !tile.last[0] {
                for (j, cell) in window[H].iter().enumerate().take(W) {
                    cell.store(above(j));
                }
                if tile.last[1] {
                    window[H][W].store(above(W));
                }
            }
        }
        window
    }
}

/// Stores a vector of channels of the pixels inside the image, and adds to the moments.
struct StoreResults<'a, V> {
    transform: &'a TransformOutputs<'a>,
    results: &'a mut [V],
    inside: &'a Inside,
    c: usize,
    /// Whether these are the first pixels of the task.
    first: bool,
}

impl<R: Simd> Job for StoreResults<'_, R> {
    type Output = ();

    // V is R: the results belong to the instruction set that stores them.
    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let StoreResults { transform, results, inside, c, first } = self;
        let inside = &inside.pixels[..inside.len];
        for &(i, pixel) in inside {
            let p = transform.y.wrapping_add(pixel + c);
            // SAFETY: the pixel has channels from c on, a multiple of vectors, and so have what the epilogue reads.
            unsafe {
                results[i] = transform.epilogue.apply(results[i], c, p, R::LANES);
                results[i].store(p);
            }
        }
        let (Some(sums), false) = (transform.sums, inside.is_empty()) else { return };
        let channels = transform.convolution.channels();
        let [shift, sum, squares] = [0, 1, 2].map(|row| sums.wrapping_add(row * channels + c));
        // SAFETY: the sums have three rows of channels.
        unsafe {
            let zero = R::splat(0.0);
            if first {
                results[inside[0].0].store(shift);
                zero.store(sum);
                zero.store(squares);
            }
            // Tile by tile: fewer roundings than one after the other.
            let (by, mut of_tile, mut of_squares) = (R::load(shift), zero, zero);
            for &(i, _) in inside {
                let x = results[i].sub(by);
                of_tile = of_tile.add(x);
                of_squares = x.mul_add(x, of_squares);
            }
            R::load(sum).add(of_tile).store(sum);
            R::load(squares).add(of_squares).store(squares);
        }
    }
}
