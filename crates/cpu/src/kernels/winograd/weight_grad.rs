//! `conv2d_weight_grad`: at each point, the transposed windows times the cotangents of the outputs, summed
//! over all tiles.
//!
//! Block by block of tiles, all threads transform windows and cotangents, then add the block's products to
//! the sums; at the end the sums become taps. Blocks follow one another in a fixed order.

use super::ZEROS;
use super::convolution::{Ahead, Map, TransformWindows};
use super::grid::{Grid, Tiles};
use super::transform::{Extent, FromOutputs, OUTPUTS, POINTS, ToTaps, Transform, WINDOW};
use crate::context::{Context, Shared, Workspace};
use crate::gemm::Sizes;
use crate::gemm::microkernel::{Block, KC, ROW_STRIDE, TileLayout, even_parts};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
use crate::simd::{Job, Simd};
use std::ops::Range;

/// Tiles of a block: the terms of each product.
const TILES: usize = 128;

/// Tiles that are transformed at a time.
const CHUNK: usize = 8;

/// Rows of the sums that a task adds to.
const ROWS: usize = 64;

/// As in `convolution.rs`.
const GAP: usize = 16;

pub(super) struct WeightGrad {
    map: Map,
    /// Rows of the sums at each point, channels of the image's cells, and columns, channels of the features.
    rows: usize,
    columns: usize,
    nr: usize,
}

impl WeightGrad {
    pub(super) fn new(isa: Isa, map: Map) -> WeightGrad {
        let (rows, columns) = (map.source.channels(), map.target.channels());
        WeightGrad { map, rows, columns, nr: isa.run(Sizes).1 }
    }

    fn window_stride(&self) -> usize {
        self.rows.div_ceil(KC) * TILES * ROW_STRIDE + GAP
    }

    fn cotangent_stride(&self) -> usize {
        TILES * self.columns.next_multiple_of(self.nr) + GAP
    }

    fn sum_stride(&self) -> usize {
        self.rows * self.columns + GAP
    }
}

impl Kernel for WeightGrad {
    fn workspace(&self) -> Workspace {
        let shared = POINTS * (self.window_stride() + self.cotangent_stride() + self.sum_stride());
        Workspace { shared, own: 0 }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (tensors, isa, windows) = (&tensors, context.isa, context.shared());
        let cotangents = windows.at(POINTS * self.window_stride());
        let cotangents = Shared(cotangents);
        let sums = Shared(cotangents.at(POINTS * self.cotangent_stride()));
        let parts = self.rows.div_ceil(ROWS);
        for block in even_parts(self.map.tiles.count(), TILES) {
            let groups = &self.map.tiles.groups(block.clone());
            context.threads.run(block.len().div_ceil(CHUNK), &|_, i| {
                let first = i * CHUNK;
                let part = block.start + first..block.end.min(block.start + first + CHUNK);
                isa.run(TransformWindows {
                    grid: &self.map.source,
                    tiles: self.map.tiles,
                    block: block.clone(),
                    part: part.clone(),
                    x: tensors.input(0),
                    target: windows.at(0),
                    point: self.window_stride(),
                    range_stride: TILES * ROW_STRIDE,
                });
                isa.run(TransformCotangents {
                    grid: &self.map.target,
                    tiles: self.map.tiles,
                    block: block.clone(),
                    part,
                    dy: tensors.input(1),
                    target: cotangents.at(0),
                    point: self.cotangent_stride(),
                });
            });
            context.threads.run(POINTS * parts, &|_, i| {
                let (point, row) = (i / parts, i % parts * ROWS);
                let count = ROWS.min(self.rows - row);
                let mut rows = [std::ptr::null_mut(); ROWS];
                for (n, pointer) in rows.iter_mut().enumerate() {
                    *pointer = sums.at(point * self.sum_stride() + (row + n) * self.columns);
                }
                let terms = Tiles::rows(groups, point);
                let first = row / KC * TILES + terms.start;
                let a = point * self.window_stride() + first * ROW_STRIDE + row % KC;
                isa.run(Block {
                    a: windows.at(a),
                    layout: TileLayout::Whole { stride: ROW_STRIDE },
                    b: cotangents.at(point * self.cotangent_stride() + terms.start * self.nr),
                    panel_stride: TILES * self.nr,
                    kc: terms.len(),
                    columns: self.columns,
                    rows: &rows[..count],
                    accumulate: block.start > 0,
                    epilogue: None,
                });
            });
        }
        context.threads.run(self.rows.div_ceil(CHUNK), &|_, i| {
            isa.run(TransformSums {
                kernel: self,
                rows: i * CHUNK..self.rows.min((i + 1) * CHUNK),
                sums: sums.at(0),
                dw: tensors.output,
            });
        });
    }
}

/// Writes the cotangents of the outputs of some tiles of a block at each point, in panels: element (tile,
/// column) at `row * NR + column` of the panel.
struct TransformCotangents<'a> {
    grid: &'a Grid,
    tiles: Tiles,
    block: Range<usize>,
    part: Range<usize>,
    dy: *const f32,
    target: *mut f32,
    point: usize,
}

impl Job for TransformCotangents<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Simd>(self) {
        for tile in self.tiles.of_block(self.block.clone(), self.part.clone()) {
            let rounds = self.grid.image[2] / V::LANES;
            let mut ahead = Ahead::new(self.grid, self.tiles, &tile, rounds, self.dy);
            let pixels = tile.outputs(self.grid, [0, 0]);
            let pixels =
                pixels.map(|row| row.map(|at| at.map_or(ZEROS.as_ptr(), |at| self.dy.wrapping_add(at))));
            for c in (0..self.grid.image[2]).step_by(V::LANES) {
                ahead.step::<V>();
                let mut outputs = [[V::splat(0.0); OUTPUTS]; OUTPUTS];
                for (row, pixels) in outputs.iter_mut().zip(&pixels) {
                    for (x, pixel) in row.iter_mut().zip(pixels) {
                        // SAFETY: the pixel has a multiple of vectors of channels; so have the zeros.
                        *x = unsafe { V::load(pixel.wrapping_add(c)) };
                    }
                }
                let at = c / V::NR * TILES * V::NR + tile.row * V::NR + c % V::NR;
                let points = FromOutputs::square(tile.extents, outputs);
                for (point, value) in points.as_flattened().iter().enumerate() {
                    if tile.has(point) {
                        // SAFETY: the workspace has panels for every point.
                        unsafe { value.store(self.target.wrapping_add(point * self.point + at)) };
                    }
                }
            }
        }
    }
}

/// Writes taps from some rows of the sums.
struct TransformSums<'a> {
    kernel: &'a WeightGrad,
    rows: Range<usize>,
    sums: *const f32,
    dw: *mut f32,
}

impl Job for TransformSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Simd>(self) {
        let [in_c, out_c] = self.kernel.map.channels;
        for row in self.rows.clone() {
            let (phase, c) = (row / in_c, row % in_c);
            for column in (0..out_c).step_by(V::LANES) {
                let mut sums = [[V::splat(0.0); WINDOW]; WINDOW];
                for (point, sum) in sums.as_flattened_mut().iter_mut().enumerate() {
                    let at = point * self.kernel.sum_stride() + row * out_c + column;
                    // SAFETY: the sums have these rows and columns at every point.
                    *sum = unsafe { V::load(self.sums.wrapping_add(at)) };
                }
                for (t, taps) in ToTaps::square([Extent::Four; 2], sums).into_iter().enumerate() {
                    for (s, tap) in taps.into_iter().enumerate() {
                        let at = (2 * t + phase / 2) * 4 + 2 * s + phase % 2;
                        // SAFETY: dw has 4 x 4 taps of in_c x out_c elements.
                        unsafe { tap.store(self.dw.wrapping_add((at * in_c + c) * out_c + column)) };
                    }
                }
            }
        }
    }
}
