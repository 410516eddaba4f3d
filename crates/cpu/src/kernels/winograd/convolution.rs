//! `conv2d` and `conv_transpose2d`.
//!
//! The transformed kernel is made first. Then a task takes a block of tiles from the tensor to the result: what
//! a tile reads at the points, 25 products over channels, what it gives with its epilogue and its share of the
//! batch statistics. All of it stays in the second-level cache.

use super::grid::Tiles;
use super::layout::Layout;
use super::map::{Direction, Map};
use super::taps::TransformKernel;
use super::to_points::{AtPoints, TransformFeatures, TransformWindows};
use super::to_result::{Results, TransformOutputs};
use super::transform::POINTS;
use crate::context::{Context, Shared, Workspace};
use crate::gemm::microkernel::{Block, KC, Panels, ROW_STRIDE, TileLayout, even_parts, steps};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
use crate::kernels::product::resolve;
use crate::moments;
use gannet_tensor::ops;
use std::ops::Range;

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

pub(super) struct Convolution {
    pub(super) layout: Layout,
    epilogue: Option<ops::Epilogue>,
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
        let layout = Layout { map, k, columns, nr, height };
        Some(Convolution { layout, epilogue, tasks, groups })
    }

    /// One range of k of one panel of the transformed kernel: there are `panels * ranges`.
    fn transform_kernel(&self, isa: Isa, w: *const f32, i: usize, target: *mut f32) {
        let ranges = self.layout.k.div_ceil(KC);
        let ks = i % ranges * KC..self.layout.k.min((i % ranges + 1) * KC);
        let (layout, panel) = (&self.layout, i / ranges);
        // SAFETY: the caller vouches for the kernel, and for room for its points.
        unsafe {
            match self.layout.map.taps {
                2 => isa.run(TransformKernel::<2> { layout, w, panel, ks, target }),
                _ => isa.run(TransformKernel::<3> { layout, w, panel, ks, target }),
            }
        };
    }
}

impl Kernel for Convolution {
    fn workspace(&self) -> Workspace {
        let moments = if self.groups > 0 { self.tasks.len() * 2 * self.layout.channels() } else { 0 };
        let of_task = POINTS * (self.layout.source_stride() + self.layout.product_stride());
        let own = self.layout.kernel_len() + of_task + 3 * self.layout.channels() + self.layout.edges_len();
        Workspace { shared: self.layout.kernel_len() + moments, own }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (tensors, isa, shared) = (&tensors, context.isa, context.shared());
        let epilogue = &resolve(self.epilogue, tensors);
        let items = self.layout.columns.div_ceil(self.layout.nr) * self.layout.k.div_ceil(KC);
        let copies = context.threads.count() <= MOST_COPIES;
        if !copies {
            context.threads.run(items, &|_, i| self.transform_kernel(isa, tensors.input(1), i, shared.at(0)));
        }
        let make_copy = |worker: usize| {
            for i in 0..if copies { items } else { 0 } {
                self.transform_kernel(isa, tensors.input(1), i, context.own(worker));
            }
        };
        let moments = Shared(shared.at(self.layout.kernel_len()));
        context.threads.run_prepared(self.tasks.len(), &make_copy, &|worker, i| {
            let Task { tiles, groups, .. } = &self.tasks[i];
            let own = context.own(worker);
            let kernel = if copies { own } else { shared.at(0) };
            let sources = own.wrapping_add(self.layout.kernel_len());
            let products = sources.wrapping_add(POINTS * self.layout.source_stride());
            let to = AtPoints {
                start: sources,
                point: self.layout.source_stride(),
                width: KC,
                range: self.layout.height * ROW_STRIDE,
                row: ROW_STRIDE,
            };
            let (block, x) = (tiles.clone(), tensors.input(0));
            let (grid, tiles) = (self.layout.map.source(), self.layout.map.tiles);
            match self.layout.map.direction {
                // SAFETY: Kernel::run's contract; the workspace has room for the tiles of a task.
                Direction::Forward | Direction::Reversed => unsafe {
                    isa.run(TransformWindows { grid, tiles, block, phases: 0..grid.step * grid.step, x, to })
                },
                // SAFETY: Kernel::run's contract; the workspace has room for the tiles of a task.
                Direction::Transposed => unsafe {
                    isa.run(TransformFeatures::<4> { grid, tiles, block, x, to })
                },
            }
            for point in 0..POINTS {
                let of_point = Tiles::rows(groups, point);
                let mut rows = [std::ptr::null_mut(); MOST_TILES];
                for (n, row) in rows.iter_mut().enumerate().take(of_point.end) {
                    *row = products
                        .wrapping_add(point * self.layout.product_stride() + n * self.layout.row_stride());
                }
                for (range, ks) in steps(self.layout.k, KC).enumerate() {
                    let row = range * self.layout.height + of_point.start;
                    let a = point * self.layout.source_stride() + row * ROW_STRIDE;
                    let b = point * self.layout.kernel_stride()
                        + ks.start * self.layout.columns.next_multiple_of(self.layout.nr);
                    // SAFETY: tiles and kernel were transformed above; the products of a task are its own.
                    unsafe {
                        isa.run(Block {
                            a: sources.wrapping_add(a),
                            layout: TileLayout::RowMajor,
                            b: Panels::packed(kernel.wrapping_add(b), ks.len(), self.layout.nr),
                            kc: ks.len(),
                            columns: self.layout.columns,
                            rows: &rows[of_point.clone()],
                            accumulate: ks.start > 0,
                            epilogue: None,
                            next: None,
                        })
                    };
                }
            }
            let sums = products.wrapping_add(POINTS * self.layout.product_stride());
            let results = Results {
                layout: &self.layout,
                block: self.tasks[i].tiles.clone(),
                products,
                y: tensors.output,
                epilogue,
                sums: (self.groups > 0).then_some(sums),
                moments: moments.at(i * 2 * self.layout.channels()),
                edges: sums.wrapping_add(3 * self.layout.channels()),
            };
            // SAFETY: Kernel::run's contract; the products were computed above, and each task has pixels of its own.
            unsafe {
                match self.layout.map.taps {
                    2 => isa.run(TransformOutputs::<4>(results)),
                    _ => isa.run(TransformOutputs::<3>(results)),
                }
            };
        });
        for group in 0..self.groups {
            let channels = self.layout.channels();
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
