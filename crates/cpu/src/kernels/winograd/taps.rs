//! The kernel at the points, in the panels of the microkernel.

use super::convolution::Convolution;
use super::map::Direction;
use super::transform::{FromTaps, TAPS, Transform};
use crate::simd::{Job, Simd};
use std::ops::Range;

/// Writes a panel of the kernel at each point: element (k, column) at `k * NR + column` of the panel.
pub(super) struct TransformKernel<'a> {
    pub(super) convolution: &'a Convolution,
    pub(super) w: *const f32,
    pub(super) panel: usize,
    pub(super) ks: Range<usize>,
    pub(super) target: *mut f32,
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
