//! The register-blocked heart of every matrix product, and what happens to a tile before it is stored.

use crate::math;
use crate::simd::{Job, Simd};
use gannet_tensor::ops;
use std::mem::MaybeUninit;

/// Elements of k that are packed and multiplied at a time: a panel of B (`KC` x `NR`) stays in the
/// first-level cache while the tiles of A stream past it.
pub(crate) const KC: usize = 256;

/// Elements from one row of a packed row-major tile of A to the next. Being constant, it turns the rows
/// into displacements from one pointer; the extra cache line spreads them over the cache sets, and takes
/// the part of the last vector that packing writes too much.
pub(crate) const ROW_STRIDE: usize = KC + 16;

/// Elements of a cache line.
pub(crate) const LINE: usize = 16;

/// Terms up to which a product is bound by its result.
const FEW_TERMS: usize = 64;

/// How a tile of A is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TileLayout {
    /// Element (row, k) at `row * ROW_STRIDE + k`: copied from sources that are contiguous along k.
    RowMajor,
    /// Element (row, k) at `k * MR + row`, tile after tile: from sources that are contiguous along rows.
    ColumnMajor,
    /// Element (row, k) at `k * stride + row`: not cut into tiles.
    Whole { stride: usize },
    /// Windows of a padded image, where they lie: element (row, k) at `row * step + k / run * line + k % run`,
    /// for whole runs.
    Windows { step: usize, line: usize, run: usize },
}

/// An activation that ends a kernel.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Activation {
    Identity,
    /// x for x > 0, `slope * x` otherwise.
    LeakyRelu {
        slope: f32,
    },
    Tanh,
    Sigmoid,
}

impl Activation {
    #[inline(always)]
    pub(crate) fn apply<V: Simd>(self, x: V) -> V {
        match self {
            Activation::Identity => x,
            Activation::LeakyRelu { slope } => x.select_gt(V::splat(0.0), x, x.mul(V::splat(slope))),
            Activation::Tanh => math::tanh(x),
            Activation::Sigmoid => math::sigmoid(x),
        }
    }

    /// The vjp of the activation whose output was y.
    #[inline(always)]
    pub(crate) fn grad<V: Simd>(self, y: V, dy: V) -> V {
        let one = V::splat(1.0);
        match self {
            Activation::Identity => dy,
            Activation::LeakyRelu { slope } => y.select_gt(V::splat(0.0), dy, dy.mul(V::splat(slope))),
            Activation::Tanh => dy.mul(one.sub(y.mul(y))),
            Activation::Sigmoid => dy.mul(y).mul(one.sub(y)),
        }
    }
}

impl From<ops::Activation> for Activation {
    fn from(activation: ops::Activation) -> Activation {
        match activation {
            ops::Activation::LeakyRelu { negative_slope } => {
                Activation::LeakyRelu { slope: negative_slope as f32 }
            }
            ops::Activation::Tanh => Activation::Tanh,
            ops::Activation::Sigmoid => Activation::Sigmoid,
        }
    }
}

/// What is done to the sums before they are stored.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue {
    /// One number per column, added to every row; null if there is none.
    pub(crate) bias: *const f32,
    pub(crate) activation: Activation,
    /// The sums are the cotangents of this activation, whose output lies at this distance in elements from
    /// the result: their vjp is stored.
    pub(crate) grad: Option<(isize, Activation)>,
}

// SAFETY: the bias is only read, while the kernel that was given it runs.
unsafe impl Sync for Epilogue {}

impl Epilogue {
    pub(crate) const NONE: Epilogue =
        Epilogue { bias: std::ptr::null(), activation: Activation::Identity, grad: None };

    /// What becomes of the sums of some columns from `column` on, to be stored at p.
    ///
    /// # Safety
    /// The bias must be readable at these columns, and what `grad` points to at these elements.
    #[inline(always)]
    pub(crate) unsafe fn apply<V: Simd>(&self, sum: V, column: usize, p: *const f32, lanes: usize) -> V {
        if self.bias.is_null() {
            // SAFETY: the caller vouches for the mask.
            return unsafe { self.activate(sum, p, lanes) };
        }
        // SAFETY: the caller vouches for bias and mask.
        unsafe {
            let bias = V::load_first(self.bias.wrapping_add(column), lanes);
            self.activate(sum.add(bias), p, lanes)
        }
    }

    /// The same where all lanes are sums of one column.
    ///
    /// # Safety
    /// As for [`Epilogue::apply`].
    #[inline(always)]
    pub(crate) unsafe fn apply_to_column<V: Simd>(
        &self,
        sum: V,
        column: usize,
        p: *const f32,
        lanes: usize,
    ) -> V {
        // SAFETY: the caller vouches for bias and mask.
        unsafe {
            let bias = if self.bias.is_null() { 0.0 } else { *self.bias.add(column) };
            self.activate(sum.add(V::splat(bias)), p, lanes)
        }
    }

    /// # Safety
    /// What `grad` points to must be readable at these elements.
    #[inline(always)]
    pub(crate) unsafe fn activate<V: Simd>(&self, sum: V, p: *const f32, lanes: usize) -> V {
        let sum = match self.grad {
            // SAFETY: the caller vouches for it.
            Some((distance, activation)) => unsafe {
                activation.grad(V::load_first(p.wrapping_offset(distance), lanes), sum)
            },
            None => sum,
        };
        self.activation.apply(sum)
    }
}

/// Part of a large matrix that the next block reads or is packed from: it is fetched while this block is computed, so
/// that neither waits for memory.
#[derive(Clone, Copy)]
pub(crate) struct Next {
    pub(crate) start: *const f32,
    /// Elements from one row to the next.
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    /// Elements of a row.
    pub(crate) width: usize,
}

impl Next {
    /// Fetches share `i` of `count` equal shares.
    #[inline(always)]
    fn fetch<V: Simd>(&self, i: usize, count: usize) {
        for row in i * self.rows / count..(i + 1) * self.rows / count {
            let row = self.start.wrapping_add(row * self.stride);
            for line in (0..self.width).step_by(LINE) {
                V::prefetch(row.wrapping_add(line));
            }
        }
    }
}

/// Where the panels of B lie: panel p, row k, column j at `start + p * panel + k * row + j`.
#[derive(Clone, Copy)]
pub(crate) struct Panels {
    pub(crate) start: *const f32,
    pub(crate) panel: usize,
    pub(crate) row: usize,
}

impl Panels {
    /// Panels of `kc` rows of `nr` columns, one after another.
    pub(crate) fn packed(start: *const f32, kc: usize, nr: usize) -> Panels {
        Panels { start, panel: kc * nr, row: nr }
    }
}

/// C[rows, columns] (+)= A B for one packed block of A, one range of k and the panels of B.
pub(crate) struct Block<'a> {
    /// The packed rows of A.
    pub(crate) a: *const f32,
    pub(crate) layout: TileLayout,
    pub(crate) b: Panels,
    pub(crate) kc: usize,
    /// Columns of this block.
    pub(crate) columns: usize,
    /// Where each row of the result starts.
    pub(crate) rows: &'a [*mut f32],
    /// Whether the result holds the sums over smaller k.
    pub(crate) accumulate: bool,
    /// Given with the last range of k.
    pub(crate) epilogue: Option<Epilogue>,
    /// What is needed after this block.
    pub(crate) next: Option<Next>,
}

/// `total` in ranges of `size`, the last of which takes what is left. No range for nothing.
pub(crate) fn steps(total: usize, size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..total).step_by(size).map(move |start| start..(start + size).min(total))
}

/// `total` in as few ranges as `size` allows, of lengths that differ by one at most. At least one range.
pub(crate) fn even_parts(total: usize, size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let count = total.div_ceil(size).max(1);
    let (length, extra) = (total / count, total % count);
    (0..count).map(move |i| {
        let start = i * length + i.min(extra);
        start..start + length + usize::from(i < extra)
    })
}

/// Tile t of as few tiles of `rows` as `mr` allows: even heights, as equal as can be, so that no tile is so
/// low that its few sums wait for one another.
#[inline(always)]
fn even_tile(rows: usize, mr: usize, t: usize) -> std::ops::Range<usize> {
    let (pairs, count) = (rows.div_ceil(2), rows.div_ceil(mr));
    2 * (t * pairs / count)..rows.min(2 * ((t + 1) * pairs / count))
}

impl Job for Block<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let mut sums = MaybeUninit::<[f32; LARGEST_TILE]>::uninit();
        let sums = sums.as_mut_ptr().cast::<f32>();
        let (panels, tiles) = (self.columns.div_ceil(V::NR), self.rows.len().div_ceil(V::MR));
        for i in 0..panels * tiles {
            // With few terms, storing is what takes time: along the rows of the result.
            let (panel, t) =
                if self.kc <= FEW_TERMS { (i % panels, i / panels) } else { (i / tiles, i % tiles) };
            let column = panel * V::NR;
            let b = self.b.start.wrapping_add(panel * self.b.panel);
            let width = (self.columns - column).min(V::NR);
            let (tile, a) = match self.layout {
                TileLayout::RowMajor => {
                    let tile = even_tile(self.rows.len(), V::MR, t);
                    (tile.clone(), self.a.wrapping_add(tile.start * ROW_STRIDE))
                }
                TileLayout::ColumnMajor => {
                    let start = t * V::MR;
                    let a = self.a.wrapping_add(start * self.kc);
                    (start..self.rows.len().min(start + V::MR), a)
                }
                TileLayout::Whole { .. } => {
                    let tile = even_tile(self.rows.len(), V::MR, t);
                    (tile.clone(), self.a.wrapping_add(tile.start))
                }
                TileLayout::Windows { step, .. } => {
                    let tile = even_tile(self.rows.len(), V::MR, t);
                    (tile.clone(), self.a.wrapping_add(tile.start * step))
                }
            };
            if let Some(next) = &self.next {
                next.fetch::<V>(i, panels * tiles);
            }
            let place = Place { rows: &self.rows[tile], column, width };
            if !self.tile::<V>(a, b, place, sums) {
                // SAFETY: the tile was computed into the sums.
                unsafe { V::apart(Finish { block: &self, sums, place }) };
            }
        }
    }
}

/// Where a tile of the result lies.
#[derive(Clone, Copy)]
struct Place<'a> {
    rows: &'a [*mut f32],
    column: usize,
    width: usize,
}

/// Elements of the largest tile of any instruction set: 14 rows of 32.
const LARGEST_TILE: usize = 14 * 32;

/// Calls the microkernel of an even height that holds the rows in hand: only the last tile of a block is
/// lower than the others, and half the heights are half the code. Heights that an instruction set does not
/// use are not compiled.
macro_rules! by_height {
    ($V:ident, $vectors:literal, $block:expr, $a:ident, $b:ident, $place:ident, $sums:ident:
     $($height:literal)*) => {
        match $place.rows.len().next_multiple_of(2) {
            $($height => {
                if const { $height <= $V::MR && $vectors <= $V::NV } {
                    let (block, a, b, place, sums) = ($block, $a, $b, $place, $sums);
                    // SAFETY: the block's contract.
                    unsafe { $V::apart(Tile::<$height, $vectors> { block, a, b, place, sums }) }
                } else {
                    true
                }
            })*
            _ => true,
        }
    };
}

impl Block<'_> {
    // Collapsed into guards, the arms would no longer keep unused heights from being compiled.
    #[allow(clippy::collapsible_match)]
    /// Computes a tile. Returns false if its sums are in `sums`, rows of NR, still to be stored.
    #[inline(always)]
    fn tile<V: Simd>(&self, a: *const f32, b: *const f32, place: Place<'_>, sums: *mut f32) -> bool {
        match place.width.div_ceil(V::LANES) {
            1 => by_height!(V, 1, self, a, b, place, sums: 2 4 6 8 10 12 14),
            2 => by_height!(V, 2, self, a, b, place, sums: 2 4 6 8 10 12 14),
            _ => by_height!(V, 3, self, a, b, place, sums: 2 4 6 8 10 12 14),
        }
    }
}

/// One tile of a block: H rows of N vectors, the rows of A at `a` and those of B at `b`. Returns whether it was
/// stored: sums without an epilogue go straight from the registers to the result, where no vector is partial;
/// all others are left in `sums`, rows of NR, to be finished in one place for all shapes of tiles. To write that
/// for each shape would multiply the code by the number of shapes.
struct Tile<'a, const H: usize, const N: usize> {
    block: &'a Block<'a>,
    a: *const f32,
    b: *const f32,
    place: Place<'a>,
    sums: *mut f32,
}

impl<const H: usize, const N: usize> Job for Tile<'_, H, N> {
    type Output = bool;

    #[inline(always)]
    unsafe fn run<V: Simd>(self) -> bool {
        let Tile { block, a, b, place, sums: out } = self;
        let (kc, b_row) = (block.kc, block.b.row);
        // SAFETY: the block's owner packed tiles of H rows and kc columns at `a`; at `b` lie kc rows of N vectors.
        let sums = unsafe {
            match block.layout {
                // The steps are known for packed panels: an addition less in each round is 1.5 % of a training step.
                TileLayout::RowMajor if b_row == V::NR => {
                    microkernel::<V, H, N, ROW_STRIDE>(kc, a, 1, b, V::NR)
                }
                TileLayout::RowMajor => microkernel::<V, H, N, ROW_STRIDE>(kc, a, 1, b, b_row),
                TileLayout::ColumnMajor => microkernel::<V, H, N, 1>(kc, a, V::MR, b, V::NR),
                TileLayout::Whole { stride } => microkernel::<V, H, N, 1>(kc, a, stride, b, V::NR),
                TileLayout::Windows { step, line, run } => {
                    runs::<V, H, N>([kc / run, run], a, [step, line], b, V::NR)
                }
            }
        };
        if place.width == N * V::LANES {
            let zero = V::splat(0.0);
            match block.epilogue.unwrap_or(Epilogue::NONE) {
                Epilogue { bias, activation: Activation::Identity, grad: None } if bias.is_null() => {
                    self.store::<V>(
                        sums,
                        #[inline(always)]
                        |sum, _, _| sum,
                    );
                    return true;
                }
                Epilogue { bias, activation: Activation::LeakyRelu { slope }, grad: None }
                    if N == V::NV && !bias.is_null() =>
                {
                    let slope = V::splat(slope);
                    self.store::<V>(
                        sums,
                        #[inline(always)]
                        |sum, _, column| {
                            // SAFETY: the bias has the columns of the place.
                            let sum = sum.add(unsafe { V::load(bias.wrapping_add(column)) });
                            sum.select_gt(zero, sum, sum.mul(slope))
                        },
                    );
                    return true;
                }
                Epilogue { grad: Some((distance, Activation::LeakyRelu { slope })), .. } if N == V::NV => {
                    let slope = V::splat(slope);
                    self.store::<V>(
                        sums,
                        #[inline(always)]
                        |sum, p, _| {
                            // SAFETY: the output of the activation lies like the result.
                            let y = unsafe { V::load(p.wrapping_offset(distance)) };
                            y.select_gt(zero, sum, sum.mul(slope))
                        },
                    );
                    return true;
                }
                _ => {}
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                // SAFETY: there is room for the largest tile, and N <= NV.
                unsafe { sum.store(out.add(i * V::NR + v * V::LANES)) };
            }
        }
        false
    }
}

impl<const H: usize, const N: usize> Tile<'_, H, N> {
    /// Stores a full tile, each vector through `f(sum, its place, its column)`.
    #[inline(always)]
    fn store<V: Simd>(&self, sums: [[V; N]; H], f: impl Fn(V, *const f32, usize) -> V) {
        for (row, sums) in self.place.rows.iter().zip(sums) {
            for (v, sum) in sums.into_iter().enumerate() {
                let column = self.place.column + v * V::LANES;
                let p = row.wrapping_add(column);
                // SAFETY: the rows of the result have `width` elements from the column on.
                unsafe {
                    let sum = if self.block.accumulate { sum.add(V::load(p)) } else { sum };
                    f(sum, p, column).store(p);
                }
            }
        }
    }
}

/// Stores a tile of rows of NR sums with its epilogue, or one that is narrower than its vectors.
struct Finish<'a> {
    block: &'a Block<'a>,
    sums: *const f32,
    place: Place<'a>,
}

impl Job for Finish<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        const { assert!(V::MR * V::NR <= LARGEST_TILE) };
        let epilogue = self.block.epilogue.unwrap_or(Epilogue::NONE);
        let zero = V::splat(0.0);
        // SAFETY, for all: the bias and what the gradient reads have the columns of the place.
        match epilogue {
            // What training spends its time on, without a choice for each vector.
            Epilogue { bias, activation: Activation::LeakyRelu { slope }, grad: None } if !bias.is_null() => {
                let slope = V::splat(slope);
                self.rows::<V>(
                    #[inline(always)]
                    |sum, _, column, lanes| {
                        // SAFETY: see above.
                        let sum = unsafe { sum.add(V::load_first(bias.wrapping_add(column), lanes)) };
                        sum.select_gt(zero, sum, sum.mul(slope))
                    },
                );
            }
            Epilogue { grad: Some((distance, Activation::LeakyRelu { slope })), .. } => {
                let slope = V::splat(slope);
                self.rows::<V>(
                    #[inline(always)]
                    |sum, p, _, lanes| {
                        // SAFETY: see above.
                        let y = unsafe { V::load_first(p.wrapping_offset(distance), lanes) };
                        y.select_gt(zero, sum, sum.mul(slope))
                    },
                );
            }
            _ => self.rows::<V>(
                #[inline(always)]
                // SAFETY: see above.
                |sum, p, column, lanes| unsafe { epilogue.apply(sum, column, p, lanes) },
            ),
        }
    }
}

impl Finish<'_> {
    /// Stores each vector through `f(sum, its place, its column, its lanes)`.
    #[inline(always)]
    fn rows<V: Simd>(&self, f: impl Fn(V, *const f32, usize, usize) -> V) {
        let Finish { block, sums, place } = self;
        for (i, row) in place.rows.iter().enumerate() {
            for start in (0..place.width).step_by(V::LANES) {
                let lanes = (place.width - start).min(V::LANES);
                let column = place.column + start;
                let p = row.wrapping_add(column);
                // SAFETY: the sums were written for these columns, and the row of the result has them.
                unsafe {
                    let mut sum = V::load(sums.add(i * V::NR + start));
                    if block.accumulate {
                        sum = sum.add(V::load_first(p, lanes));
                    }
                    f(sum, p, column, lanes).store_first(p, lanes);
                }
            }
        }
    }
}

/// The sums over k of A[row, k] * B[k, :] for `H` rows and `N` vectors of columns, all in registers:
/// `H * N` independent chains of multiply-adds hide the latency of each.
///
/// # Safety
/// `a + row * ROW + k * step` must be readable for row < H and k < kc, `b + k * b_row` for N vectors.
#[inline(always)]
unsafe fn microkernel<V: Simd, const H: usize, const N: usize, const ROW: usize>(
    kc: usize,
    mut a: *const f32,
    step: usize,
    mut b: *const f32,
    b_row: usize,
) -> [[V; N]; H] {
    let mut sums = [[V::splat(0.0); N]; H];
    // Two steps a round: with one, AVX2 (6x16) does half as much.
    for _ in 0..kc / 2 {
        // SAFETY: k and k + 1 are below kc.
        unsafe {
            rank_one_update::<V, H, N>(&mut sums, a, ROW, b);
            rank_one_update::<V, H, N>(&mut sums, a.wrapping_add(step), ROW, b.wrapping_add(b_row));
        }
        a = a.wrapping_add(2 * step);
        b = b.wrapping_add(2 * b_row);
    }
    if kc % 2 == 1 {
        // SAFETY: the last k.
        unsafe { rank_one_update::<V, H, N>(&mut sums, a, ROW, b) };
    }
    sums
}

/// The same for A in `count` runs of k, each `line` from the one before, with rows `step` apart: what is read where
/// it lies.
///
/// # Safety
/// `a + row * step + i * line + k` must be readable for row < H, i < count and k < run, and N vectors at each of the
/// rows of B, `b_row` apart.
#[inline(always)]
unsafe fn runs<V: Simd, const H: usize, const N: usize>(
    [count, run]: [usize; 2],
    mut a: *const f32,
    [step, line]: [usize; 2],
    mut b: *const f32,
    b_row: usize,
) -> [[V; N]; H] {
    let mut sums = [[V::splat(0.0); N]; H];
    for _ in 0..count {
        for k in 0..run {
            // SAFETY: the caller vouches for this k.
            unsafe { rank_one_update::<V, H, N>(&mut sums, a.wrapping_add(k), step, b) };
            b = b.wrapping_add(b_row);
        }
        a = a.wrapping_add(line);
    }
    sums
}

/// Adds A[row, k] * B[k, :] for one k. A function and not a closure: closures are not always inlined, and
/// on its own this would lack the features of the instruction set.
///
/// # Safety
/// `a + row * i` must be readable for i < H, b for N vectors.
#[inline(always)]
pub(crate) unsafe fn rank_one_update<V: Simd, const H: usize, const N: usize>(
    sums: &mut [[V; N]; H],
    a: *const f32,
    row: usize,
    b: *const f32,
) {
    let mut columns = [V::splat(0.0); N];
    for (v, column) in columns.iter_mut().enumerate() {
        // SAFETY: the caller vouches for N vectors at b.
        *column = unsafe { V::load(b.add(v * V::LANES)) };
    }
    for (i, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller vouches for H rows at a.
        let element = V::splat(unsafe { *a.add(i * row) });
        for (sum, column) in sums.iter_mut().zip(columns) {
            *sum = element.mul_add(column, *sum);
        }
    }
}
