//! Matrix products and everything that is one: sources and packing ([`pack`]), the register-blocked
//! microkernel with its epilogue ([`microkernel`]), and here the blocking and the threads.

pub(crate) mod microkernel;
pub(crate) mod pack;

use crate::context::{Context, Shared, Workspace};
use crate::isa::Isa;
use crate::moments;
use crate::simd::{Job, Simd};
use microkernel::{Block, Epilogue, KC, Next, Panels, TileLayout, even_parts, steps};
use pack::{Left, Right};
use std::ops::Range;

/// Where the rows of a result lie.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Row r at `r * stride`.
    Rows { stride: usize },
    /// Row (image, i, j) at a pixel of an NHWC image: every `stride`-th one from `start` on.
    Pixels { image: [usize; 3], windows: [usize; 2], start: [usize; 2], stride: [usize; 2] },
}

impl Target {
    /// Where some rows start.
    fn offsets(&self, rows: Range<usize>) -> impl Iterator<Item = usize> + Clone {
        let (image, windows, start, stride) = match *self {
            // One line of pixels, as it were.
            Target::Rows { stride } => ([1, 0, stride], [1, usize::MAX], [0, 0], [1, 1]),
            Target::Pixels { image, windows, start, stride } => (image, windows, start, stride),
        };
        let [height, width, channels] = image;
        // Divisions once; then from pixel to pixel.
        let (line, mut j) = (rows.start / windows[1].max(1), rows.start % windows[1].max(1));
        let (mut n, mut i) = (line / windows[0].max(1), line % windows[0].max(1));
        rows.map(move |_| {
            let (y, x) = (start[0] + i * stride[0], start[1] + j * stride[1]);
            let offset = ((n * height + y) * width + x) * channels;
            j += 1;
            if j == windows[1] {
                (i, j) = (i + 1, 0);
            }
            if i == windows[0] {
                (n, i) = (n + 1, 0);
            }
            offset
        })
    }
}

/// One product C[rows, columns] = A[rows, k] B[k, columns].
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) rows: usize,
    pub(crate) k: usize,
    pub(crate) left: Left,
    pub(crate) right: Right,
    pub(crate) target: Target,
}

// SAFETY: the pointers are shared between tasks that write disjoint rows of the result.
unsafe impl Sync for Operands {}

/// The operands of a run.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    pub(crate) a: *const f32,
    pub(crate) b: *const f32,
    pub(crate) c: *mut f32,
    pub(crate) epilogue: Epilogue,
    /// Where the batch statistics of the result go ([2 * groups, columns]); null if they are not wanted.
    pub(crate) stats: *mut f32,
}

/// Products of the same tensors with one number of columns (the phases of a transposed convolution, or a
/// single product), cut into tasks. The cut depends on sizes and instruction set, never on threads.
#[derive(Debug)]
pub(crate) struct Gemm {
    products: Vec<Product>,
    columns: usize,
    tasks: Vec<Task>,
    strategy: Strategy,
    /// Groups of the batch statistics, 0 if there are none.
    groups: usize,
}

#[derive(Debug)]
enum Strategy {
    /// B is packed once, by all threads, then read by all tasks.
    SharedRight { panels: Vec<SharedPanels> },
    /// Each task packs its own columns of B: where there are few rows, so that each panel serves few tiles.
    OwnRight,
    /// k is long and the result small: each task sums over a part of k into a result of its own, and the
    /// parts are added in their order.
    SplitK { splits: usize },
}

/// A range of k of a product, and where its packed panels lie in the shared workspace.
#[derive(Debug)]
struct SharedPanels {
    product: usize,
    ks: Range<usize>,
    start: usize,
}

#[derive(Clone, Debug)]
struct Task {
    product: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    ks: Range<usize>,
    /// The part of k (SplitK), or the group of the statistics.
    part: usize,
}

/// Elements of the second-level cache that a block of A or B may fill.
const BLOCK: usize = 128 * 1024 / size_of::<f32>();

/// Rows of A that fill a block, in whole tiles.
fn block_rows(mr: usize) -> usize {
    (BLOCK / KC / mr).max(1) * mr
}

/// How a strategy cuts a product, and where it begins: blocks are [`block_rows`] rows, panels the columns of a tile.
///
/// | strategy | taken for | a task |
/// |---|---|---|
/// | [`Strategy::SplitK`] | k of `LONG` ranges or more, fewer than `TASKS / 2` tasks otherwise | `TALL` blocks, `WIDE` panels, a part of k |
/// | [`Strategy::OwnRight`] | at most `TALL` blocks of rows, `NARROW` panels or more | all rows, one panel to `MOST_OWN` |
/// | [`Strategy::SharedRight`] | everything else, and whatever gives batch statistics | a block at most, `WIDE` panels |
mod cut {
    /// Ranges of k from which on its sum is split.
    pub(super) const LONG: usize = 8;
    /// Ranges of k of a part at least.
    pub(super) const PART: usize = 2;
    /// Blocks of rows above one another in a task that packs its own panels.
    pub(super) const TALL: usize = 4;
    /// Panels beside one another in a task.
    pub(super) const WIDE: usize = 16;
    /// Panels from which on tasks pack their own.
    pub(super) const NARROW: usize = 4;
    /// The most panels that a task packs for itself alone.
    pub(super) const MOST_OWN: usize = 8;
}

/// Elements of an operand that will not be found in a cache.
const LARGE: usize = 256 * 1024;

/// Tiles above one another in a result whose right operand is read where it lies.
const IN_PLACE: usize = 6;

/// Tasks that a product should give: enough to balance many threads, few enough that packing pays.
const TASKS: usize = 24;

/// The ranges of at most KC that k is cut into.
pub(crate) fn k_ranges(ks: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    even_parts(ks.len(), KC).map(move |r| ks.start + r.start..ks.start + r.end)
}

impl Gemm {
    /// `groups`: the number of groups of batch statistics wanted with the result, or 0.
    pub(crate) fn new(isa: Isa, products: Vec<Product>, columns: usize, groups: usize) -> Gemm {
        let (mr, nr) = isa.sizes();
        let rows: usize = products.iter().map(|product| product.rows).sum();
        let k = products[0].k;
        let tall = cut::TALL * block_rows(mr);
        let blocks = rows.div_ceil(tall) * columns.div_ceil(cut::WIDE * nr);
        let single = groups == 0 && products.len() == 1;
        let (strategy, tasks) = if single && k >= cut::LONG * KC && blocks < TASKS / 2 {
            Gemm::split_k(rows, columns, k, blocks, [mr, nr])
        } else if single && rows <= tall && columns >= cut::NARROW * nr {
            Gemm::own_right(rows, columns, k, nr)
        } else {
            Gemm::shared_right(&products, columns, groups, [mr, nr])
        };
        Gemm { products, columns, tasks, strategy, groups }
    }

    /// Few blocks of the result: several parts of k for each.
    fn split_k(
        rows: usize,
        columns: usize,
        k: usize,
        blocks: usize,
        [mr, nr]: [usize; 2],
    ) -> (Strategy, Vec<Task>) {
        let mut tasks = Vec::new();
        let height = rows.div_ceil(rows.div_ceil(cut::TALL * block_rows(mr))).next_multiple_of(mr);
        let splits = (TASKS / 2).div_ceil(blocks).clamp(1, k / (cut::PART * KC));
        for (part, ks) in even_parts(k, k.div_ceil(splits)).enumerate() {
            for rows in steps(rows, height) {
                for columns in columns_of(columns, cut::WIDE * nr, nr) {
                    tasks.push(Task { product: 0, rows: rows.clone(), columns, ks: ks.clone(), part });
                }
            }
        }
        (Strategy::SplitK { splits: tasks.last().map_or(1, |task| task.part + 1) }, tasks)
    }

    fn own_right(rows: usize, columns: usize, k: usize, nr: usize) -> (Strategy, Vec<Task>) {
        let width = (columns.div_ceil(TASKS)).clamp(nr, cut::MOST_OWN * nr);
        let parts = columns_of(columns, width, nr);
        let task = |columns| Task { product: 0, rows: 0..rows, columns, ks: 0..k, part: 0 };
        (Strategy::OwnRight, parts.map(task).collect())
    }

    fn shared_right(
        products: &[Product],
        columns: usize,
        groups: usize,
        [mr, nr]: [usize; 2],
    ) -> (Strategy, Vec<Task>) {
        let (mut panels, mut tasks) = (Vec::new(), Vec::new());
        let mut start = 0;
        let rows: usize = products.iter().map(|product| product.rows).sum();
        let width = if groups > 0 { columns.next_multiple_of(nr) } else { cut::WIDE * nr };
        // Statistics are taken per task: the tasks of small products should not be too small.
        let height = (rows * columns.div_ceil(width) / TASKS).next_multiple_of(mr).clamp(mr, block_rows(mr));
        for (product, p) in products.iter().enumerate() {
            for ks in k_ranges(0..p.k) {
                panels.push(SharedPanels { product, ks: ks.clone(), start });
                start += ks.len() * columns.next_multiple_of(nr);
            }
            for columns in columns_of(columns, width, nr) {
                for part in 0..groups.max(1) {
                    let size = p.rows / groups.max(1);
                    for rows in steps(size, height) {
                        let rows = part * size + rows.start..part * size + rows.end;
                        tasks.push(Task { product, rows, columns: columns.clone(), ks: 0..p.k, part });
                    }
                }
            }
        }
        (Strategy::SharedRight { panels }, tasks)
    }

    /// What a run needs beside its operands.
    pub(crate) fn workspace(&self, isa: Isa) -> Workspace {
        let (mr, nr) = isa.sizes();
        let rows = self.tasks.iter().map(|task| task.rows.len()).max().unwrap_or(0);
        let own = Left::packed_len(rows.min(block_rows(mr)), mr);
        let width = self.tasks.iter().map(|task| task.columns.len().next_multiple_of(nr)).max().unwrap_or(0);
        match &self.strategy {
            Strategy::SharedRight { panels } => {
                let shared =
                    panels.last().map_or(0, |p| p.start + p.ks.len() * self.columns.next_multiple_of(nr));
                let moments = if self.groups > 0 { self.tasks.len() * 2 * self.columns } else { 0 };
                Workspace { shared: shared.next_multiple_of(16) + moments, own }
            }
            Strategy::OwnRight => Workspace { shared: 0, own: own + width * KC },
            Strategy::SplitK { splits } => {
                let partial = self.products[0].rows * self.columns;
                Workspace { shared: if *splits > 1 { splits * partial } else { 0 }, own: own + width * KC }
            }
        }
    }

    /// Computes the products.
    ///
    /// # Safety
    /// The operands must be valid for the tensors that the products describe; the result overlaps none of
    /// the others, except that the mask of the epilogue may be anything readable.
    pub(crate) unsafe fn run(&self, context: &Context<'_>, operands: Operands) {
        // Closures capture the reference, not single fields, so that Sync applies.
        let operands = &operands;
        match &self.strategy {
            Strategy::SharedRight { panels } => {
                let shared = context.shared();
                let nr = context.isa.sizes().1;
                // A work item is one panel of one range of k.
                let count = self.columns.div_ceil(nr);
                context.threads.run(panels.len() * count, &|_, i| {
                    let (range, panel) = (&panels[i / count], i % count);
                    let columns = panel * nr..((panel + 1) * nr).min(self.columns);
                    let target = shared.at(range.start + panel * range.ks.len() * nr);
                    let right = &self.products[range.product].right;
                    // SAFETY: run's contract; the workspace holds whole panels of every range.
                    unsafe { right.pack(context.isa, operands.b, range.ks.clone(), columns, target) };
                });
                let end =
                    panels.last().map_or(0, |p| p.start + p.ks.len() * self.columns.next_multiple_of(nr));
                let moments = Shared(shared.at(end.next_multiple_of(16)));
                context.threads.run(self.tasks.len(), &|worker, i| {
                    let task = &self.tasks[i];
                    let own = context.own(worker);
                    let ranges = panels.iter().filter(|range| range.product == task.product);
                    for range in ranges {
                        let panel = range.start + task.columns.start / nr * range.ks.len() * nr;
                        let b = Panels::packed(shared.at(panel), range.ks.len(), nr);
                        // SAFETY: run's contract; the panels were packed above.
                        unsafe { self.block(context.isa, task, range.ks.clone(), b, own, *operands, None) };
                    }
                    if self.groups > 0 {
                        // SAFETY: the task is done.
                        unsafe { self.take_moments(context.isa, i, operands.c, moments) };
                    }
                });
                if self.groups > 0 {
                    // SAFETY: run's contract.
                    unsafe { self.merge_moments(context.isa, moments, operands.stats) };
                }
            }
            Strategy::OwnRight => {
                context.threads.run(self.tasks.len(), &|worker, i| {
                    // SAFETY: run's contract.
                    unsafe { self.task_with_own_right(context, worker, i, *operands) };
                });
            }
            Strategy::SplitK { splits: 1 } => {
                context.threads.run(self.tasks.len(), &|worker, i| {
                    // SAFETY: run's contract.
                    unsafe { self.task_with_own_right(context, worker, i, *operands) };
                });
            }
            Strategy::SplitK { splits } => {
                let partials = context.shared();
                let len = self.products[0].rows * self.columns;
                context.threads.run(self.tasks.len(), &|worker, i| {
                    let task = &self.tasks[i];
                    let c = partials.at(task.part * len);
                    let operands = Operands { c, epilogue: Epilogue::NONE, ..*operands };
                    // SAFETY: the workspace holds a result for each part.
                    unsafe { self.task_with_own_right(context, worker, i, operands) };
                });
                // Element by element, in the order of the parts.
                let rows = self.products[0].rows;
                let chunk = (4096 / self.columns.max(1)).max(1);
                context.threads.run(rows.div_ceil(chunk), &|_, i| {
                    // SAFETY: the workspace holds these parts; each task has elements of its own.
                    unsafe {
                        context.isa.run(AddParts {
                            partials: partials.at(0),
                            len,
                            splits: *splits,
                            rows: i * chunk..((i + 1) * chunk).min(rows),
                            columns: self.columns,
                            c: operands.c,
                            epilogue: operands.epilogue,
                        })
                    };
                });
            }
        }
    }

    /// # Safety
    /// As for `run`; the task's own workspace must hold a block of A and a block of B.
    unsafe fn task_with_own_right(&self, context: &Context<'_>, worker: usize, i: usize, operands: Operands) {
        let task = &self.tasks[i];
        let nr = context.isa.sizes().1;
        let packed_b = context.own(worker);
        let packed_a = packed_b.wrapping_add(task.columns.len().next_multiple_of(nr) * KC);
        let mut ranges = k_ranges(task.ks.clone()).peekable();
        while let Some(ks) = ranges.next() {
            let next = self.next(operands, i, ranges.peek().cloned());
            // SAFETY: run's contract.
            unsafe {
                let b = match self.right_in_place(context.isa, task) {
                    Some(row) => {
                        let start = operands.b.wrapping_add(ks.start * row + task.columns.start);
                        Panels { start, panel: nr, row }
                    }
                    None => {
                        let right = &self.products[task.product].right;
                        right.pack(context.isa, operands.b, ks.clone(), task.columns.clone(), packed_b);
                        Panels::packed(packed_b, ks.len(), nr)
                    }
                };
                self.block(context.isa, task, ks, b, packed_a, operands, next);
            }
        }
    }

    /// From one row to the next of a right operand that is read where it lies: for few rows of the result, a copy
    /// would not be read often enough to pay for itself.
    fn right_in_place(&self, isa: Isa, task: &Task) -> Option<usize> {
        let product = &self.products[task.product];
        let (Right::RowMajor { stride }, TileLayout::RowMajor) = (&product.right, product.left.layout())
        else {
            return None;
        };
        let few = product.rows <= IN_PLACE * isa.sizes().0;
        (few && self.columns.is_multiple_of(isa.lanes())).then_some(*stride)
    }

    /// Whether the left operand is read where it lies: for few columns, likewise. A tile of an odd height would
    /// read a row that is not there.
    fn left_in_place(&self, isa: Isa, product: &Product) -> bool {
        self.columns <= 2 * isa.sizes().1
            && product.rows.is_multiple_of(2)
            && product.rows * product.k >= LARGE
    }

    /// One range of k of a task, with its panels of B at `b` and room for a block of A at `packed_a`.
    ///
    /// # Safety
    /// As for `run`.
    #[allow(clippy::too_many_arguments)]
    unsafe fn block(
        &self,
        isa: Isa,
        task: &Task,
        ks: Range<usize>,
        b: Panels,
        packed_a: *mut f32,
        operands: Operands,
        next: Option<Next>,
    ) {
        let (mr, nr) = isa.sizes();
        let product = &self.products[task.product];
        let mut pointers = [std::ptr::null_mut(); BLOCK / KC];
        let epilogue = (ks.end == task.ks.end).then(|| {
            let mut epilogue = operands.epilogue;
            if !epilogue.bias.is_null() {
                epilogue.bias = epilogue.bias.wrapping_add(task.columns.start);
            }
            epilogue
        });
        for rows in steps(task.rows.len(), block_rows(mr)) {
            let rows = task.rows.start + rows.start..task.rows.start + rows.end;
            let (a, layout) = match product.left {
                // The loop over windows takes packed panels.
                Left::RowMajor { stride } if self.left_in_place(isa, product) && b.row == nr => {
                    let start = operands.a.wrapping_add(rows.start * stride + ks.start);
                    (start, TileLayout::Windows { step: stride, line: 0, run: ks.len() })
                }
                _ => {
                    // SAFETY: run's contract; the workspace holds block_rows packed rows.
                    unsafe { product.left.pack(isa, operands.a, rows.clone(), ks.clone(), packed_a) };
                    (packed_a.cast_const(), product.left.layout())
                }
            };
            for (pointer, offset) in pointers.iter_mut().zip(product.target.offsets(rows.clone())) {
                *pointer = operands.c.wrapping_add(offset + task.columns.start);
            }
            // SAFETY: run's contract; A was packed or lies there, the pointers are rows of the result from the task's columns on.
            unsafe {
                isa.run(Block {
                    a,
                    layout,
                    b,
                    kc: ks.len(),
                    columns: task.columns.len(),
                    rows: &pointers[..rows.len()],
                    accumulate: ks.start > task.ks.start,
                    epilogue,
                    next,
                })
            };
        }
    }

    /// What is read of B after a range of k of task i: the next range, or else the first of the next task, which
    /// most likely the same thread will run.
    fn next(&self, operands: Operands, i: usize, range: Option<Range<usize>>) -> Option<Next> {
        let task = if range.is_some() { &self.tasks[i] } else { self.tasks.get(i + 1)? };
        let product = &self.products[task.product];
        let Right::RowMajor { stride } = product.right else { return None };
        let ks = range.or_else(|| k_ranges(task.ks.clone()).next())?;
        let start = operands.b.wrapping_add(ks.start * stride + task.columns.start);
        let large = product.k * self.columns >= LARGE;
        large.then_some(Next { start, stride, rows: ks.len(), width: task.columns.len() })
    }

    /// Mean and sum of squared deviations of the rows that task i wrote, while they are in the cache.
    ///
    /// # Safety
    /// As for `run`; the rows of the task must have been written.
    unsafe fn take_moments(&self, isa: Isa, i: usize, c: *const f32, moments: Shared<f32>) {
        let task = &self.tasks[i];
        let target = &self.products[task.product].target;
        let rows = target.offsets(task.rows.clone()).map(|offset| c.wrapping_add(offset));
        // SAFETY: the rows have `columns` elements; each task has its own two rows of moments.
        unsafe { moments::of_rows(isa, self.columns, rows, moments.at(i * 2 * self.columns)) };
    }

    /// Merges the moments of the tasks into the statistics of each group.
    ///
    /// # Safety
    /// `stats` must be writable for two rows per group.
    unsafe fn merge_moments(&self, isa: Isa, moments: Shared<f32>, stats: *mut f32) {
        for group in 0..self.groups {
            let parts = self.tasks.iter().enumerate().filter(|(_, task)| task.part == group);
            let parts = parts.filter(|(_, task)| !task.rows.is_empty());
            let parts = parts.map(|(i, task)| {
                (task.rows.len(), moments.at(i * 2 * self.columns).cast_const(), self.columns)
            });
            let out = stats.wrapping_add(group * 2 * self.columns);
            // SAFETY: every task wrote its moments; the caller vouches for the statistics.
            unsafe { moments::merge(isa, self.columns, parts, [out, out.wrapping_add(self.columns)]) };
        }
    }
}

/// Parts of at most `size` columns that start on panels.
fn columns_of(columns: usize, size: usize, nr: usize) -> impl Iterator<Item = Range<usize>> {
    let panels = columns.div_ceil(nr);
    even_parts(panels, (size / nr).max(1)).map(move |p| p.start * nr..(p.end * nr).min(columns))
}

struct AddParts {
    partials: *const f32,
    len: usize,
    splits: usize,
    rows: Range<usize>,
    columns: usize,
    c: *mut f32,
    epilogue: Epilogue,
}

impl Job for AddParts {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for row in self.rows.clone() {
            for column in (0..self.columns).step_by(V::LANES) {
                let lanes = (self.columns - column).min(V::LANES);
                let i = row * self.columns + column;
                // SAFETY: the row lies within each part and the result.
                unsafe {
                    let mut sum = V::load_first(self.partials.wrapping_add(i), lanes);
                    for part in 1..self.splits {
                        let p = self.partials.wrapping_add(part * self.len + i);
                        sum = sum.add(V::load_first(p, lanes));
                    }
                    let p = self.c.wrapping_add(i);
                    self.epilogue.apply(sum, column, p, lanes).store_first(p, lanes);
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
