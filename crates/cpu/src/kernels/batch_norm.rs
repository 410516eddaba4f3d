//! Batch normalisation: statistics, normalisation with an activation, and the backward pass with its one
//! two-sum reduction.
//!
//! A tensor [groups, rows, C] is cut into tiles of rows and columns; a reduction leaves two rows of numbers
//! per tile, merged in the order of the tiles.

use crate::context::{Context, Workspace};
use crate::gemm::microkernel::{Activation, even_parts};
use crate::kernel::{Kernel, Tensors};
use crate::moments;
use crate::simd::{Job, Simd};
use gannet_tensor::{Instruction, Shape, ops};
use std::ops::Range;

/// Elements of a tile.
const TILE: usize = 16 * 1024;

/// Columns of a tile: a few vectors, so that tall tiles exist also where there are many channels.
const COLUMNS: usize = 256;

#[derive(Clone)]
struct Tile {
    group: usize,
    /// Rows of the whole tensor.
    rows: Range<usize>,
    columns: Range<usize>,
}

struct Layout {
    /// Rows of a group.
    rows: usize,
    channels: usize,
    tiles: Vec<Tile>,
    /// For each group, for each range of columns: the tiles, by number.
    stacks: Vec<Range<usize>>,
}

impl Layout {
    fn new(x: Shape, groups: usize) -> Layout {
        let channels = x.last();
        let rows = x.len() / channels / groups;
        let mut all = Vec::new();
        let mut stacks = Vec::new();
        for group in 0..groups {
            for columns in even_parts(channels, COLUMNS) {
                let first = all.len();
                for part in even_parts(rows, (TILE / columns.len()).max(1)) {
                    let rows = group * rows + part.start..group * rows + part.end;
                    all.push(Tile { group, rows, columns: columns.clone() });
                }
                stacks.push(first..all.len());
            }
        }
        Layout { rows, channels, tiles: all, stacks }
    }

    /// Two rows of `COLUMNS` numbers per tile.
    fn partials(&self) -> usize {
        self.tiles.len() * 2 * COLUMNS
    }
}

pub(super) fn prepare(instruction: &Instruction) -> Option<Box<dyn Kernel>> {
    let op = &*instruction.op;
    let x = instruction.inputs.first()?.shape;
    if let Some(op) = op.downcast::<ops::BatchStats>() {
        return Some(Box::new(Stats { layout: Layout::new(x, op.groups) }));
    }
    if let Some(op) = op.downcast::<ops::BatchNorm>() {
        let activation = Activation::Identity;
        return Some(Box::new(Apply { layout: Layout::new(x, op.groups), eps: op.eps as f32, activation }));
    }
    if let Some(op) = op.downcast::<ops::FusedBatchNorm>() {
        let activation = op.activation.into();
        return Some(Box::new(Apply { layout: Layout::new(x, op.groups), eps: op.eps as f32, activation }));
    }
    if let Some(op) = op.downcast::<ops::BatchNormSums>() {
        return Some(Box::new(Sums { layout: Layout::new(x, op.groups), eps: op.eps as f32 }));
    }
    let op = op.downcast::<ops::BatchNormGrad>()?;
    Some(Box::new(Grad { layout: Layout::new(x, op.groups), eps: op.eps as f32 }))
}

struct Stats {
    layout: Layout,
}

impl Kernel for Stats {
    fn workspace(&self) -> Workspace {
        Workspace { shared: self.layout.partials(), own: 0 }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (layout, tensors, partials) = (&self.layout, &tensors, context.shared());
        let channels = layout.channels;
        context.threads.run(layout.tiles.len(), &|_, i| {
            let tile = &layout.tiles[i];
            let x = tensors.input(0).wrapping_add(tile.columns.start);
            let rows = tile.rows.clone().map(|row| x.wrapping_add(row * channels));
            // SAFETY: Kernel::run's contract; each tile has partials of its own.
            unsafe { moments::of_rows(context.isa, tile.columns.len(), rows, partials.at(i * 2 * COLUMNS)) };
        });
        context.threads.run(layout.stacks.len(), &|_, i| {
            let stack = &layout.stacks[i];
            let Tile { group, columns, .. } = &layout.tiles[stack.start];
            let parts = stack.clone().map(|i| {
                let width = layout.tiles[i].columns.len();
                (layout.tiles[i].rows.len(), partials.at(i * 2 * COLUMNS).cast_const(), width)
            });
            let out = tensors.output.wrapping_add(group * 2 * channels + columns.start);
            // SAFETY: every tile wrote its moments.
            unsafe { moments::merge(context.isa, columns.len(), parts, [out, out.wrapping_add(channels)]) };
        });
    }
}

/// What normalises the channels of a tile, read for a vector of columns.
#[derive(Clone, Copy)]
struct Channels<V> {
    mean: V,
    rstd: V,
}

impl<V: Simd> Channels<V> {
    /// # Safety
    /// `stats` must have two rows of `channels` per group.
    #[inline(always)]
    unsafe fn load(
        stats: *const f32,
        layout: &Layout,
        group: usize,
        column: usize,
        lanes: usize,
        eps: f32,
    ) -> Self {
        let mean = stats.wrapping_add(group * 2 * layout.channels + column);
        // SAFETY: the caller vouches for the statistics.
        let (mean, variance) =
            unsafe { (V::load_first(mean, lanes), V::load_first(mean.wrapping_add(layout.channels), lanes)) };
        Channels { mean, rstd: V::splat(1.0).div(variance.add(V::splat(eps)).sqrt()) }
    }
}

/// Vectors of columns that are taken together, so that whole cache lines are read row by row.
const WIDTH: usize = 4;

/// A job on a tile that takes N vectors of columns at a time, of `lanes` each.
trait ByColumns {
    fn columns<V: Simd, const N: usize>(&self, column: usize, lanes: usize);

    #[inline(always)]
    fn all_columns<V: Simd>(&self, columns: &Range<usize>) {
        let mut column = columns.start;
        while column < columns.end {
            if column + WIDTH * V::LANES <= columns.end {
                self.columns::<V, WIDTH>(column, V::LANES);
                column += WIDTH * V::LANES;
            } else {
                let lanes = V::LANES.min(columns.end - column);
                self.columns::<V, 1>(column, lanes);
                column += lanes;
            }
        }
    }
}

#[inline(always)]
unsafe fn load<V: Simd>(p: *const f32, lanes: usize) -> V {
    // SAFETY: the caller vouches for `lanes` elements.
    unsafe { V::load_first(p, lanes) }
}

#[inline(always)]
unsafe fn store<V: Simd>(x: V, p: *mut f32, lanes: usize) {
    // SAFETY: the caller vouches for `lanes` elements.
    unsafe { x.store_first(p, lanes) }
}

/// y = activation(gamma (x - mean) rstd + beta)
struct Apply {
    layout: Layout,
    eps: f32,
    activation: Activation,
}

impl Kernel for Apply {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        context.threads.run(self.layout.tiles.len(), &|_, i| {
            // SAFETY: Kernel::run's contract; each tile is written by one task.
            unsafe { context.isa.run(ApplyJob { kernel: self, tensors, tile: &self.layout.tiles[i] }) };
        });
    }
}

struct ApplyJob<'a> {
    kernel: &'a Apply,
    tensors: &'a Tensors<'a>,
    tile: &'a Tile,
}

impl Job for ApplyJob<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        self.all_columns::<V>(&self.tile.columns);
    }
}

impl ByColumns for ApplyJob<'_> {
    #[inline(always)]
    fn columns<V: Simd, const N: usize>(&self, column: usize, lanes: usize) {
        let (layout, tile) = (&self.kernel.layout, self.tile);
        let [x, stats, gamma, beta] = [0, 1, 2, 3].map(|i| self.tensors.input(i));
        let zero = V::splat(0.0);
        let (mut mean, mut scale, mut shift) = ([zero; N], [zero; N], [zero; N]);
        // SAFETY: Kernel::run's contract; the output may be x.
        unsafe {
            for v in 0..N {
                let column = column + v * V::LANES;
                let c = Channels::<V>::load(stats, layout, tile.group, column, lanes, self.kernel.eps);
                mean[v] = c.mean;
                scale[v] = load::<V>(gamma.add(column), lanes).mul(c.rstd);
                shift[v] = load::<V>(beta.add(column), lanes);
            }
            for row in tile.rows.clone() {
                for v in 0..N {
                    let at = row * layout.channels + column + v * V::LANES;
                    let y = load::<V>(x.add(at), lanes).sub(mean[v]).mul_add(scale[v], shift[v]);
                    store(self.kernel.activation.apply(y), self.tensors.output.add(at), lanes);
                }
            }
        }
    }
}

/// sum(dy) and sum(dy xhat)
struct Sums {
    layout: Layout,
    eps: f32,
}

impl Kernel for Sums {
    fn workspace(&self) -> Workspace {
        Workspace { shared: self.layout.partials(), own: 0 }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (layout, tensors, partials) = (&self.layout, &tensors, context.shared());
        context.threads.run(layout.tiles.len(), &|_, i| {
            let out = partials.at(i * 2 * COLUMNS);
            // SAFETY: Kernel::run's contract; each tile has partials of its own.
            unsafe { context.isa.run(SumsJob { kernel: self, tensors, tile: &layout.tiles[i], out }) };
        });
        context.threads.run(layout.stacks.len(), &|_, i| {
            let stack = &layout.stacks[i];
            let Tile { group, columns, .. } = &layout.tiles[stack.start];
            let out = tensors.output.wrapping_add(group * 2 * layout.channels + columns.start);
            for row in 0..2 {
                for c in 0..columns.len() {
                    let parts = stack.clone().map(|i| partials.at(i * 2 * COLUMNS + row * COLUMNS + c));
                    // SAFETY: every tile wrote its two rows.
                    let sum = parts.map(|p| f64::from(unsafe { *p })).sum::<f64>();
                    // SAFETY: Kernel::run's contract.
                    unsafe { *out.add(row * layout.channels + c) = sum as f32 };
                }
            }
        });
    }
}

struct SumsJob<'a> {
    kernel: &'a Sums,
    tensors: &'a Tensors<'a>,
    tile: &'a Tile,
    out: *mut f32,
}

impl Job for SumsJob<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        self.all_columns::<V>(&self.tile.columns);
    }
}

impl ByColumns for SumsJob<'_> {
    #[inline(always)]
    fn columns<V: Simd, const N: usize>(&self, column: usize, lanes: usize) {
        let (layout, tile) = (&self.kernel.layout, self.tile);
        let [x, dy, stats] = [0, 1, 2].map(|i| self.tensors.input(i));
        let zero = V::splat(0.0);
        let mut channels = [Channels { mean: zero, rstd: zero }; N];
        let (mut of_dy, mut of_products) = ([zero; N], [zero; N]);
        // SAFETY: Kernel::run's contract.
        unsafe {
            for (v, c) in channels.iter_mut().enumerate() {
                let column = column + v * V::LANES;
                *c = Channels::load(stats, layout, tile.group, column, lanes, self.kernel.eps);
            }
            for row in tile.rows.clone() {
                for v in 0..N {
                    let at = row * layout.channels + column + v * V::LANES;
                    let dy = load::<V>(dy.add(at), lanes);
                    of_dy[v] = of_dy[v].add(dy);
                    let deviation = load::<V>(x.add(at), lanes).sub(channels[v].mean);
                    of_products[v] = deviation.mul_add(dy, of_products[v]);
                }
            }
            for v in 0..N {
                let out = self.out.add(column + v * V::LANES - tile.columns.start);
                store(of_dy[v], out, lanes);
                store(of_products[v].mul(channels[v].rstd), out.add(COLUMNS), lanes);
            }
        }
    }
}

/// dx = gamma rstd (dy - (sum(dy) + xhat sum(dy xhat)) / count)
struct Grad {
    layout: Layout,
    eps: f32,
}

impl Kernel for Grad {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        context.threads.run(self.layout.tiles.len(), &|_, i| {
            // SAFETY: Kernel::run's contract; each tile is written by one task.
            unsafe { context.isa.run(GradJob { kernel: self, tensors, tile: &self.layout.tiles[i] }) };
        });
    }
}

struct GradJob<'a> {
    kernel: &'a Grad,
    tensors: &'a Tensors<'a>,
    tile: &'a Tile,
}

impl Job for GradJob<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        self.all_columns::<V>(&self.tile.columns);
    }
}

impl ByColumns for GradJob<'_> {
    #[inline(always)]
    fn columns<V: Simd, const N: usize>(&self, column: usize, lanes: usize) {
        let (layout, tile) = (&self.kernel.layout, self.tile);
        let [x, dy, stats, gamma, sums] = [0, 1, 2, 3, 4].map(|i| self.tensors.input(i));
        let share = V::splat(1.0 / layout.rows as f32);
        let zero = V::splat(0.0);
        let (mut mean, mut scale) = ([zero; N], [zero; N]);
        let (mut mean_dy, mut slope) = ([zero; N], [zero; N]);
        // SAFETY: Kernel::run's contract; the output may be dy.
        unsafe {
            for v in 0..N {
                let column = column + v * V::LANES;
                let c = Channels::<V>::load(stats, layout, tile.group, column, lanes, self.kernel.eps);
                let sums = sums.add(tile.group * 2 * layout.channels + column);
                mean[v] = c.mean;
                scale[v] = load::<V>(gamma.add(column), lanes).mul(c.rstd);
                mean_dy[v] = load::<V>(sums, lanes).mul(share);
                slope[v] = load::<V>(sums.add(layout.channels), lanes).mul(share).mul(c.rstd);
            }
            for row in tile.rows.clone() {
                for v in 0..N {
                    let at = row * layout.channels + column + v * V::LANES;
                    let of_row = load::<V>(x.add(at), lanes).sub(mean[v]).mul_add(slope[v], mean_dy[v]);
                    let dx = load::<V>(dy.add(at), lanes).sub(of_row).mul(scale[v]);
                    store(dx, self.tensors.output.add(at), lanes);
                }
            }
        }
    }
}
