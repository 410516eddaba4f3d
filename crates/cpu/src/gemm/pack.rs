//! Where the operands of a product come from: each source copies a block of itself into the layout that
//! the microkernel reads. Transposes, strides, padding and the taps of a convolution end here.

use super::microkernel::{KC, LINE, ROW_STRIDE, TileLayout, steps};
use crate::isa::Isa;
use crate::simd::{Job, Simd};
use std::ops::Range;

/// The left operand A [rows, k], read from one tensor.
#[derive(Clone, Debug)]
pub(crate) enum Left {
    /// A[row, k] at `row * stride + k`.
    RowMajor { stride: usize },
    /// A[row, k] at `k * stride + row`.
    ColumnMajor { stride: usize },
    /// The windows of an image: row = window, k = element of the window.
    Windows(Windows),
    /// The same transposed: row = element of the window, k = window.
    WindowsTransposed(Windows),
}

/// The windows that slide over an NHWC image, one for each output pixel (image, i, j), each flattened to
/// its elements: run after run, tap after tap, channels innermost.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    /// Height, width and channels of the image.
    pub(crate) image: [usize; 3],
    /// Windows along the height and the width.
    pub(crate) windows: [usize; 2],
    /// Image pixels between neighbouring windows.
    pub(crate) stride: [usize; 2],
    /// One run per row of the window.
    pub(crate) runs: Vec<Run>,
}

/// Neighbouring taps: elements that are contiguous in the image.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Image row relative to i * stride.
    pub(crate) row: isize,
    /// First image column relative to j * stride.
    pub(crate) column: isize,
    /// Elements: taps times channels.
    pub(crate) len: usize,
}

impl Left {
    pub(crate) fn layout(&self) -> TileLayout {
        match self {
            Left::RowMajor { .. } | Left::Windows(_) => TileLayout::RowMajor,
            Left::ColumnMajor { .. } | Left::WindowsTransposed(_) => TileLayout::ColumnMajor,
        }
    }

    /// The elements of a buffer that holds `rows` packed rows, whatever the layout.
    pub(crate) fn packed_len(rows: usize, mr: usize) -> usize {
        // Heights are rounded up to even ones: a row more is read, though not used. Column-major tiles have
        // mr columns each, the last is written a vector too far.
        ((rows + 1) * ROW_STRIDE).max(rows.div_ceil(mr) * mr * KC) + 16
    }

    /// Packs rows x ks of the tensor at `source` into `target`.
    ///
    /// # Safety
    /// `source` must be valid for the tensor that self describes, which must have these rows and ks, at
    /// most KC of them; `target` for `packed_len` elements.
    pub(crate) unsafe fn pack(
        &self,
        isa: Isa,
        source: *const f32,
        rows: Range<usize>,
        ks: Range<usize>,
        target: *mut f32,
    ) {
        match self {
            // SAFETY: this function's contract.
            Left::RowMajor { stride } => unsafe {
                isa.run(PackRows { source, stride: *stride, rows, ks, target })
            },
            Left::ColumnMajor { stride } => {
                // SAFETY: this function's contract.
                unsafe { isa.run(PackColumns { source, stride: *stride, rows, ks, target }) };
            }
            // SAFETY: this function's contract.
            Left::Windows(windows) => unsafe { isa.run(PackWindows { source, windows, rows, ks, target }) },
            Left::WindowsTransposed(windows) => {
                // SAFETY: this function's contract.
                unsafe { isa.run(PackWindowsTransposed { source, windows, rows, ks, target }) };
            }
        }
    }
}

struct PackRows {
    source: *const f32,
    stride: usize,
    rows: Range<usize>,
    ks: Range<usize>,
    target: *mut f32,
}

impl Job for PackRows {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for (i, row) in self.rows.enumerate() {
            let source = self.source.wrapping_add(row * self.stride + self.ks.start);
            let target = self.target.wrapping_add(i * ROW_STRIDE);
            let ahead = source.wrapping_add(AHEAD * self.stride);
            for line in (0..self.ks.len()).step_by(LINE) {
                V::prefetch(ahead.wrapping_add(line));
            }
            // SAFETY: Left::pack's contract: the row has these ks, the packed row ROW_STRIDE elements.
            unsafe { source.copy_to_nonoverlapping(target, self.ks.len()) };
        }
    }
}

struct PackColumns {
    source: *const f32,
    stride: usize,
    rows: Range<usize>,
    ks: Range<usize>,
    target: *mut f32,
}

impl Job for PackColumns {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for (t, tile) in steps(self.rows.len(), V::MR).enumerate() {
            let mut target = self.target.wrapping_add(t * self.ks.len() * V::MR);
            let source = self.source.wrapping_add(self.rows.start + tile.start);
            for k in self.ks.clone() {
                // SAFETY: Left::pack's contract; the next column overwrites what is written too much.
                unsafe {
                    copy_lanes::<V>(source.wrapping_add(k * self.stride), 0, tile.len(), tile.len(), target)
                };
                target = target.wrapping_add(V::MR);
            }
        }
    }
}

/// Copies elements lo..hi of `len`, the others are zero. Writes whole vectors.
///
/// # Safety
/// `source + lo .. source + hi` must be readable, `target` writable for `len` rounded up to whole vectors.
#[inline(always)]
unsafe fn copy_lanes<V: Simd>(source: *const f32, lo: usize, hi: usize, len: usize, target: *mut f32) {
    let mut start = 0;
    while start < len {
        let end = start + V::LANES;
        let p = source.wrapping_add(start);
        // SAFETY: only lanes of lo..hi are read.
        unsafe {
            let x = if lo <= start && end <= hi {
                V::load(p)
            } else {
                let lo = lo.clamp(start, end) - start;
                let hi = hi.clamp(start, end) - start;
                V::load_lanes(p, lo.min(hi), hi)
            };
            x.store(target.add(start));
        }
        start = end;
    }
}

impl Windows {
    /// Elements of a window.
    pub(crate) fn len(&self) -> usize {
        self.runs.iter().map(|run| run.len).sum()
    }

    /// Windows of an image.
    pub(crate) fn per_image(&self) -> usize {
        self.windows[0] * self.windows[1]
    }

    /// Calls `piece(run, part of the run, place of the part within the range)` for the runs that `elements`
    /// of a window touch.
    #[inline(always)]
    fn pieces(&self, elements: &Range<usize>, mut piece: impl FnMut(&Run, Range<usize>, usize)) {
        let mut start = 0;
        for run in &self.runs {
            let end = start + run.len;
            let from = start.max(elements.start);
            let to = end.min(elements.end);
            if from < to {
                piece(run, from - start..to - start, from - elements.start);
            }
            start = end;
        }
    }

    /// Calls `row(first, image, i, js)` for each part of the windows in range that lies in one row of
    /// windows; `first` counts from the start of the range.
    #[inline(always)]
    fn rows(&self, range: &Range<usize>, mut row: impl FnMut(usize, usize, usize, Range<usize>)) {
        let mut at = range.start;
        while at < range.end {
            let (line, j) = (at / self.windows[1], at % self.windows[1]);
            let count = (self.windows[1] - j).min(range.end - at);
            row(at - range.start, line / self.windows[0], line % self.windows[0], j..j + count);
            at += count;
        }
    }

    /// The row of the image that a run reads for window row i, as elements from the start of the tensor;
    /// None if it is padding.
    #[inline(always)]
    fn line(&self, image: usize, i: usize, run: &Run) -> Option<usize> {
        let row = (i * self.stride[0]) as isize + run.row;
        let [height, width, channels] = self.image;
        (row >= 0 && (row as usize) < height).then(|| (image * height + row as usize) * width * channels)
    }

    /// Copies part `part` of a run for windows js into targets `step` apart.
    ///
    /// # Safety
    /// `line` must be a row of the image at `source`; each target is written in whole vectors.
    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    unsafe fn copy<V: Simd>(
        &self,
        source: *const f32,
        line: Option<usize>,
        run: &Run,
        part: &Range<usize>,
        js: Range<usize>,
        mut target: *mut f32,
        step: usize,
    ) {
        let [_, width, channels] = self.image;
        let len = part.len();
        let Some(line) = line else {
            for _ in js {
                // SAFETY: nothing is read; the caller vouches for the target.
                unsafe { copy_lanes::<V>(source, 0, 0, len, target) };
                target = target.wrapping_add(step);
            }
            return;
        };
        let source = source.wrapping_add(line);
        let stride = (self.stride[1] * channels) as isize;
        let mut start = js.start as isize * stride + run.column * channels as isize + part.start as isize;
        let end = (width * channels) as isize;
        for _ in js {
            let from = source.wrapping_offset(start);
            // SAFETY: lanes lo..hi lie within the row of the image.
            unsafe {
                if start >= 0 && start + len as isize <= end {
                    copy_lanes::<V>(from, 0, len, len, target);
                } else {
                    let lo = (-start).clamp(0, len as isize) as usize;
                    let hi = (end - start).clamp(lo as isize, len as isize) as usize;
                    copy_lanes::<V>(from, lo, hi, len, target);
                }
            }
            start += stride;
            target = target.wrapping_add(step);
        }
    }
}

struct PackWindows<'a> {
    source: *const f32,
    windows: &'a Windows,
    rows: Range<usize>,
    ks: Range<usize>,
    target: *mut f32,
}

impl Job for PackWindows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let windows = self.windows;
        windows.rows(
            &self.rows,
            #[inline(always)]
            |first, image, i, js| {
                // In this order, what a run writes too much is overwritten by the next.
                windows.pieces(
                    &self.ks,
                    #[inline(always)]
                    |run, part, place| {
                        let target = self.target.wrapping_add(first * ROW_STRIDE + place);
                        let line = windows.line(image, i, run);
                        // SAFETY: Left::pack's contract; ROW_STRIDE leaves a vector to spare.
                        unsafe {
                            windows.copy::<V>(self.source, line, run, &part, js.clone(), target, ROW_STRIDE)
                        };
                    },
                );
            },
        );
    }
}

struct PackWindowsTransposed<'a> {
    source: *const f32,
    windows: &'a Windows,
    rows: Range<usize>,
    ks: Range<usize>,
    target: *mut f32,
}

impl Job for PackWindowsTransposed<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let windows = self.windows;
        for (t, tile) in steps(self.rows.len(), V::MR).enumerate() {
            let elements = self.rows.start + tile.start..self.rows.start + tile.end;
            let target = self.target.wrapping_add(t * self.ks.len() * V::MR);
            let mut single = true;
            windows.pieces(
                &elements,
                #[inline(always)]
                |_, part, _| single = part.len() == elements.len(),
            );
            if single {
                windows.rows(
                    &self.ks,
                    #[inline(always)]
                    |first, image, i, js| {
                        windows.pieces(
                            &elements,
                            #[inline(always)]
                            |run, part, _| {
                                let target = target.wrapping_add(first * V::MR);
                                let line = windows.line(image, i, run);
                                // SAFETY: Left::pack's contract; the next column overwrites what is written too much.
                                unsafe {
                                    windows.copy::<V>(
                                        self.source,
                                        line,
                                        run,
                                        &part,
                                        js.clone(),
                                        target,
                                        V::MR,
                                    )
                                };
                            },
                        );
                    },
                );
            } else {
                // Pieces of several runs in one column: window by window, so that each piece overwrites
                // what the one before wrote too much.
                windows.rows(
                    &self.ks,
                    #[inline(always)]
                    |first, image, i, js| {
                        for (n, j) in js.enumerate() {
                            windows.pieces(
                                &elements,
                                #[inline(always)]
                                |run, part, place| {
                                    let target = target.wrapping_add((first + n) * V::MR + place);
                                    let line = windows.line(image, i, run);
                                    // SAFETY: as above.
                                    unsafe {
                                        windows.copy::<V>(
                                            self.source,
                                            line,
                                            run,
                                            &part,
                                            j..j + 1,
                                            target,
                                            V::MR,
                                        )
                                    };
                                },
                            );
                        }
                    },
                );
            }
        }
    }
}

/// The right operand B [k, columns], read from one tensor.
#[derive(Clone, Debug)]
pub(crate) enum Right {
    /// B[k, column] at `k * stride + column`.
    RowMajor { stride: usize },
    /// B[k, column] at `segments[k / len] + k % len + column * stride`: matrices side by side along k,
    /// each contiguous along k. A transposed matrix is one segment, a kernel seen from its output one per tap.
    ColumnMajor { segments: Vec<usize>, len: usize, stride: usize },
}

impl Right {
    /// A[column, k], that is, the transpose of a row-major matrix.
    pub(crate) fn transposed(k: usize) -> Right {
        Right::ColumnMajor { segments: vec![0], len: k.max(1), stride: k }
    }

    /// Where B[k, column] lies.
    pub(crate) fn at(&self, k: usize, column: usize) -> usize {
        match self {
            Right::RowMajor { stride } => k * stride + column,
            Right::ColumnMajor { segments, len, stride } => segments[k / len] + k % len + column * stride,
        }
    }

    /// Packs ks x columns into panels of NR columns, the last one filled up with zeros; panel p starts at
    /// `p * ks.len() * NR`.
    ///
    /// # Safety
    /// `source` must be valid for the tensor that self describes, which must have these ks and columns;
    /// `target` for whole panels.
    pub(crate) unsafe fn pack(
        &self,
        isa: Isa,
        source: *const f32,
        ks: Range<usize>,
        columns: Range<usize>,
        target: *mut f32,
    ) {
        // SAFETY: this function's contract.
        unsafe { isa.run(PackRight { right: self, source, ks, columns, target }) };
    }
}

/// Rows of a matrix that are fetched ahead of the one that is packed: neighbours lie on different pages, where no
/// processor expects them.
const AHEAD: usize = 8;

struct PackRight<'a> {
    right: &'a Right,
    source: *const f32,
    ks: Range<usize>,
    columns: Range<usize>,
    target: *mut f32,
}

impl PackRight<'_> {
    /// Each panel: its number, its first column, and its columns.
    #[inline(always)]
    fn panels<V: Simd>(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let end = self.columns.end;
        let panels = self.columns.clone().step_by(V::NR).enumerate();
        panels.map(move |(panel, column)| (panel, column, (end - column).min(V::NR)))
    }
}

impl Job for PackRight<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        match self.right {
            // Row by row, so that memory is read as it lies.
            Right::RowMajor { stride } => {
                for (n, k) in self.ks.clone().enumerate() {
                    let row = self.source.wrapping_add(k * stride);
                    let ahead = row.wrapping_add(AHEAD * stride);
                    for (panel, column, width) in self.panels::<V>() {
                        let target = self.target.wrapping_add((panel * self.ks.len() + n) * V::NR);
                        for line in (0..V::NR).step_by(LINE) {
                            V::prefetch(ahead.wrapping_add(column + line));
                        }
                        // SAFETY: Right::pack's contract; NR is a multiple of the vector.
                        unsafe { copy_lanes::<V>(row.wrapping_add(column), 0, width, V::NR, target) };
                    }
                }
            }
            Right::ColumnMajor { segments, len, stride } => {
                for (panel, column, width) in self.panels::<V>() {
                    let target = self.target.wrapping_add(panel * self.ks.len() * V::NR);
                    let mut n = 0;
                    while n < self.ks.len() {
                        let k = self.ks.start + n;
                        let count = (len - k % len).min(self.ks.len() - n);
                        let source = self.source.wrapping_add(segments[k / len] + k % len + column * stride);
                        // SAFETY: Right::pack's contract; `count` ks lie in one segment.
                        unsafe {
                            transpose::<V>(source, *stride, width, count, target.wrapping_add(n * V::NR));
                        }
                        n += count;
                    }
                }
            }
        }
    }
}

/// target[k * NR + column] = source[column * stride + k], zero for columns from `width` on. In square
/// blocks, so that each cache line of the source is read once.
///
/// # Safety
/// `source` must be readable for `width` columns of `count` elements, `target` writable for count * NR.
#[inline(always)]
unsafe fn transpose<V: Simd>(
    source: *const f32,
    stride: usize,
    width: usize,
    count: usize,
    target: *mut f32,
) {
    const BLOCK: usize = 16;
    for k in (0..count).step_by(BLOCK) {
        let ks = BLOCK.min(count - k);
        for column in 0..V::NR {
            for k in k..k + ks {
                // SAFETY: columns from `width` on are not read; the caller vouches for the others.
                unsafe {
                    let x = if column < width { *source.add(column * stride + k) } else { 0.0 };
                    *target.add(k * V::NR + column) = x;
                }
            }
        }
    }
}
