//! The kernel at the points, in the panels of the microkernel.

use super::layout::Layout;
use super::map::Direction;
use super::transform::{FromTaps, Transform, WINDOW};
use crate::simd::{Job, Simd};
use std::ops::Range;

/// Writes a panel of the kernel of T x T taps at each point: element (k, column) at `k * NR + column` of the panel.
pub(super) struct TransformKernel<'a, const T: usize> {
    pub(super) layout: &'a Layout,
    pub(super) w: *const f32,
    pub(super) panel: usize,
    pub(super) ks: Range<usize>,
    pub(super) target: *mut f32,
}

/// Terms whose taps are gathered together: so many lie in a cache line.
const TERMS: usize = 16;

impl<const T: usize> Job for TransformKernel<'_, T>
where
    FromTaps: Transform<T, WINDOW>,
{
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let layout = self.layout;
        let stride = layout.kernel_stride();
        let start =
            self.ks.start * layout.columns.next_multiple_of(V::NR) + self.panel * self.ks.len() * V::NR;
        let columns = self.panel * V::NR..layout.columns.min((self.panel + 1) * V::NR);
        for first in self.ks.clone().step_by(TERMS) {
            for column in columns.clone().step_by(V::LANES) {
                let taps = self.taps::<V>(first, column);
                for (n, taps) in taps.into_iter().enumerate() {
                    let at = start + (first - self.ks.start + n) * V::NR + (column - columns.start);
                    let points = FromTaps::square::<V, 5, 5>(taps);
                    for (point, value) in points.as_flattened().iter().enumerate() {
                        // SAFETY: the workspace holds whole panels of every point.
                        unsafe { value.store(self.target.wrapping_add(point * stride + at)) };
                    }
                }
            }
        }
    }
}

impl<const T: usize> TransformKernel<'_, T> {
    /// The taps from some terms to a vector of columns. Channels are multiples of 16: of vectors, and of terms.
    #[inline(always)]
    fn taps<V: Simd>(&self, first: usize, column: usize) -> [[[V; T]; T]; TERMS] {
        let map = &self.layout.map;
        let [in_c, out_c] = map.kernel_channels();
        let mut taps = [[[V::splat(0.0); T]; T]; TERMS];
        for t in 0..T {
            for s in 0..T {
                // SAFETY, for both: w has the taps of every phase, of in_c x out_c elements.
                match map.direction {
                    Direction::Forward => {
                        let (phase, c) = (first / in_c, first % in_c);
                        for (n, taps) in taps.iter_mut().enumerate() {
                            let at = (map.tap(phase, t, s) * in_c + c + n) * out_c + column;
                            // SAFETY: see above.
                            taps[t][s] = unsafe { V::load(self.w.wrapping_add(at)) };
                        }
                    }
                    Direction::Transposed | Direction::Reversed => {
                        let (phase, c) = (column / in_c, column % in_c);
                        let mut lanes = [[0.0; 16]; TERMS];
                        for lane in 0..V::LANES {
                            let at = (map.tap(phase, t, s) * in_c + c + lane) * out_c + first;
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
