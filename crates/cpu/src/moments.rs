//! Mean and variance per channel, stable and in a fixed order: each block of rows gives its mean and its
//! sum of squared deviations, in one pass over data shifted by the block's first row, and the blocks are
//! merged in f64 (Chan, Golub and LeVeque 1983).

use crate::isa::Isa;
use crate::simd::{Job, Simd};

/// Vectors of columns that are taken together: the sums live in registers.
const WIDTH: usize = 4;

struct OfRows<I> {
    columns: usize,
    rows: I,
    out: *mut f32,
}

impl<I: Iterator<Item = *const f32> + Clone> Job for OfRows<I> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let mut column = 0;
        while column < self.columns {
            if column + WIDTH * V::LANES <= self.columns {
                self.chunk::<V, WIDTH>(column, V::LANES);
                column += WIDTH * V::LANES;
            } else {
                let lanes = V::LANES.min(self.columns - column);
                self.chunk::<V, 1>(column, lanes);
                column += lanes;
            }
        }
    }
}

impl<I: Iterator<Item = *const f32> + Clone> OfRows<I> {
    #[inline(always)]
    fn chunk<V: Simd, const N: usize>(&self, column: usize, lanes: usize) {
        let zero = V::splat(0.0);
        let mut shift = [zero; N];
        let mut sum = [zero; N];
        let mut squares = [zero; N];
        let mut count = 0;
        for row in self.rows.clone() {
            for v in 0..N {
                // SAFETY: the rows have `columns` elements; a partial vector comes alone.
                let x = unsafe { V::load_first(row.wrapping_add(column + v * V::LANES), lanes) };
                if count == 0 {
                    shift[v] = x;
                }
                let x = x.sub(shift[v]);
                sum[v] = sum[v].add(x);
                squares[v] = x.mul_add(x, squares[v]);
            }
            count += 1;
        }
        let reciprocal = V::splat(1.0 / count.max(1) as f32);
        for v in 0..N {
            let mean = sum[v].mul(reciprocal);
            let deviations = squares[v].sub(sum[v].mul(mean)).max(zero);
            let out = self.out.wrapping_add(column + v * V::LANES);
            // SAFETY: `out` has two rows of `columns` elements.
            unsafe {
                mean.add(shift[v]).store_first(out, lanes);
                deviations.store_first(out.wrapping_add(self.columns), lanes);
            }
        }
    }
}

/// Writes the mean, then the sum of squared deviations of each column.
///
/// # Safety
/// The rows must be readable for `columns` elements, `out` writable for twice as many.
pub(crate) unsafe fn of_rows(
    isa: Isa,
    columns: usize,
    rows: impl Iterator<Item = *const f32> + Clone,
    out: *mut f32,
) {
    // SAFETY: the caller vouches for rows and moments.
    unsafe { isa.run(OfRows { columns, rows, out }) };
}

struct Merge<I> {
    columns: usize,
    parts: I,
    out: [*mut f32; 2],
}

impl<I: Iterator<Item = (usize, *const f32, usize)> + Clone> Job for Merge<I> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        const CHUNK: usize = 16;
        let total: f64 = self.parts.clone().map(|(count, ..)| count as f64).sum();
        for column in (0..self.columns).step_by(CHUNK) {
            let width = CHUNK.min(self.columns - column);
            let mut mean = [0.0_f64; CHUNK];
            for (count, part, _) in self.parts.clone() {
                for (c, mean) in mean.iter_mut().enumerate().take(width) {
                    // SAFETY: each part has two rows of moments.
                    *mean += count as f64 * f64::from(unsafe { *part.add(column + c) });
                }
            }
            mean.iter_mut().for_each(|mean| *mean /= total);
            let mut deviations = [0.0_f64; CHUNK];
            for (count, part, stride) in self.parts.clone() {
                for c in 0..width {
                    // SAFETY: as above.
                    let (of_part, squares) =
                        unsafe { (*part.add(column + c), *part.add(stride + column + c)) };
                    let distance = f64::from(of_part) - mean[c];
                    deviations[c] += f64::from(squares) + count as f64 * distance * distance;
                }
            }
            for c in 0..width {
                // SAFETY: both rows of the result have all columns.
                unsafe {
                    *self.out[0].add(column + c) = mean[c] as f32;
                    *self.out[1].add(column + c) = (deviations[c] / total) as f32;
                }
            }
        }
    }
}

/// Merges the moments of parts, each (rows, its moments, columns between their two rows), into means and
/// biased variances.
///
/// # Safety
/// Each part must be readable for two rows of `columns` elements, and each row of `out` writable.
pub(crate) unsafe fn merge(
    isa: Isa,
    columns: usize,
    parts: impl Iterator<Item = (usize, *const f32, usize)> + Clone,
    out: [*mut f32; 2],
) {
    // SAFETY: the caller vouches for moments and results.
    unsafe { isa.run(Merge { columns, parts, out }) };
}
