//! `conv2d_weight_grad`: at each point, the transposed windows times the cotangents of the outputs, summed
//! over all tiles.
//!
//! A task takes one phase of the image's cells and a part of the tiles, in blocks: it transforms windows and
//! cotangents and adds the products to sums of its own, which become the taps of that phase. All of it stays in
//! the second-level cache. Then the taps of the parts are added in their order.

use super::super::add_parts::add_parts;
use super::grid::Tiles;
use super::layout::GAP;
use super::map::Map;
use super::to_points::{AtPoints, TransformFeatures, TransformWindows};
use super::transform::{POINTS, ToTaps, Transform, WINDOW};
use crate::context::{Context, Workspace};
use crate::gemm::microkernel::{Block, Panels, TileLayout, even_parts, steps};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
use crate::simd::{Job, Simd};
use std::ops::Range;

/// Tiles of a block: the terms of each product.
const TILES: usize = 128;

/// Tiles of a part at least, and the tasks, a phase of a part each, that there should be.
const LEAST_TILES: usize = 64;
const TASKS: usize = 8;

/// Rows of the sums for which there are pointers at a time.
const ROWS: usize = 64;

pub(super) struct WeightGrad {
    map: Map,
    /// Rows of a phase's sums at each point, channels of the image, and columns, channels of the features.
    rows: usize,
    columns: usize,
    nr: usize,
    /// Tiles of each part.
    parts: Vec<Range<usize>>,
}

impl WeightGrad {
    pub(super) fn new(isa: Isa, map: Map) -> WeightGrad {
        let (rows, columns) = (map.cells.image[2], map.features.image[2]);
        let tiles = map.tiles.count();
        let parts = (tiles / LEAST_TILES).clamp(1, TASKS / map.phases());
        let parts = even_parts(tiles, tiles.div_ceil(parts)).collect();
        WeightGrad { map, rows, columns, nr: isa.sizes().1, parts }
    }

    /// Elements from the window of one tile to the next, and from point to point; a tile of an odd height reads an
    /// element too much.
    fn window(&self) -> usize {
        self.rows + GAP
    }

    fn window_stride(&self) -> usize {
        TILES * self.window() + GAP
    }

    fn cotangent_stride(&self) -> usize {
        TILES * self.columns.next_multiple_of(self.nr) + GAP
    }

    fn sum_stride(&self) -> usize {
        self.rows * self.columns + GAP
    }

    /// Elements of the taps.
    fn len(&self) -> usize {
        let side = self.map.cells.step * self.map.taps;
        side * side * self.rows * self.columns
    }

    /// The sums of a phase over a part of the tiles.
    fn sum(&self, isa: Isa, tensors: &Tensors<'_>, phase: usize, part: Range<usize>, own: *mut f32) {
        let (grid, tiles) = (&self.map.cells, self.map.tiles);
        let windows = AtPoints {
            start: own,
            point: self.window_stride(),
            width: self.rows,
            range: 0,
            row: self.window(),
        };
        let cotangents = AtPoints {
            start: own.wrapping_add(POINTS * self.window_stride()),
            point: self.cotangent_stride(),
            width: self.nr,
            range: TILES * self.nr,
            row: self.nr,
        };
        let sums = cotangents.start.wrapping_add(POINTS * self.cotangent_stride());
        for block in even_parts(part.len(), TILES) {
            let accumulate = block.start > 0;
            let block = part.start + block.start..part.start + block.end;
            let groups = tiles.groups(block.clone());
            let x = tensors.input(0);
            let phases = phase..phase + 1;
            // SAFETY: Kernel::run's contract; the workspace has room for the tiles of a task.
            unsafe {
                isa.run(TransformWindows { grid, tiles, block: block.clone(), phases, x, to: windows })
            };
            let (grid, x) = (&self.map.features, tensors.input(1));
            // SAFETY: Kernel::run's contract; the workspace has room for the tiles of a task.
            unsafe {
                match self.map.taps {
                    2 => isa.run(TransformFeatures::<4> { grid, tiles, block, x, to: cotangents }),
                    _ => isa.run(TransformFeatures::<3> { grid, tiles, block, x, to: cotangents }),
                }
            };
            for point in 0..POINTS {
                let terms = Tiles::rows(&groups, point);
                let a = windows.start.wrapping_add(point * windows.point + terms.start * windows.row);
                let b = cotangents.start.wrapping_add(point * cotangents.point + terms.start * self.nr);
                for range in steps(self.rows, ROWS) {
                    let mut rows = [std::ptr::null_mut(); ROWS];
                    for (row, pointer) in range.clone().zip(&mut rows) {
                        *pointer = sums.wrapping_add(point * self.sum_stride() + row * self.columns);
                    }
                    // SAFETY: windows and cotangents were transformed above; the sums are those of this task.
                    unsafe {
                        isa.run(Block {
                            a: a.wrapping_add(range.start),
                            layout: TileLayout::Whole { stride: windows.row },
                            b: Panels { start: b, panel: cotangents.range, row: self.nr },
                            kc: terms.len(),
                            columns: self.columns,
                            rows: &rows[..range.len()],
                            accumulate,
                            epilogue: None,
                            next: None,
                        })
                    };
                }
            }
        }
    }
}

impl Kernel for WeightGrad {
    fn workspace(&self) -> Workspace {
        let own = POINTS * (self.window_stride() + self.cotangent_stride() + self.sum_stride());
        Workspace { shared: (self.parts.len() - 1) * self.len(), own }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (tensors, isa, partials) = (&tensors, context.isa, context.shared());
        let (parts, phases) = (self.parts.len(), self.map.phases());
        context.threads.run(parts * phases, &|worker, i| {
            let (part, phase, own) = (i / phases, i % phases, context.own(worker));
            self.sum(isa, tensors, phase, self.parts[part].clone(), own);
            let sums = own.wrapping_add(POINTS * (self.window_stride() + self.cotangent_stride()));
            let dw = if part > 0 { partials.at((part - 1) * self.len()) } else { tensors.output };
            // SAFETY: Kernel::run's contract; the sums were computed above, and each task has taps of its own.
            unsafe {
                match self.map.taps {
                    2 => isa.run(TransformSums::<2> { kernel: self, phase, sums, dw }),
                    _ => isa.run(TransformSums::<3> { kernel: self, phase, sums, dw }),
                }
            };
        });
        // SAFETY: dw has the taps of one part, the workspace those of the others.
        unsafe { add_parts(context, tensors.output, partials.at(0), parts - 1, self.len()) };
    }
}

/// Writes the T x T taps of a phase.
struct TransformSums<'a, const T: usize> {
    kernel: &'a WeightGrad,
    phase: usize,
    sums: *const f32,
    dw: *mut f32,
}

impl<const T: usize> Job for TransformSums<'_, T>
where
    ToTaps: Transform<WINDOW, T>,
{
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let (in_c, out_c) = (self.kernel.rows, self.kernel.columns);
        for c in 0..in_c {
            for column in (0..out_c).step_by(V::LANES) {
                let mut sums = [[V::splat(0.0); WINDOW]; WINDOW];
                for (point, sum) in sums.as_flattened_mut().iter_mut().enumerate() {
                    let at = point * self.kernel.sum_stride() + c * out_c + column;
                    // SAFETY: the sums have these rows and columns at every point.
                    *sum = unsafe { V::load(self.sums.wrapping_add(at)) };
                }
                for (t, taps) in ToTaps::square::<V, 5, 5>(sums).into_iter().enumerate() {
                    for (s, tap) in taps.into_iter().enumerate() {
                        let at = self.kernel.map.tap(self.phase, t, s);
                        // SAFETY: dw has the taps of every phase, of in_c x out_c elements.
                        unsafe { tap.store(self.dw.wrapping_add((at * in_c + c) * out_c + column)) };
                    }
                }
            }
        }
    }
}
