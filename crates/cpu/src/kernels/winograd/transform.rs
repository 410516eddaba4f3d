//! The algorithms F(4, 2) and F(3, 3): four neighbouring outputs of a filter of two taps from five products instead
//! of eight, or three of a filter of three taps from five instead of nine, by evaluating polynomials at 1, -1, 1/2,
//! -1/2 and infinity (Winograd 1980; Lavin and Gray 2016). And F(3, 2) and F(2, 3), with the point -1/2 left out:
//! four products for an output less. Their windows are scaled so that the taps at the points are the same, and one
//! transformed kernel serves both.
//!
//! With `o = A^T [(G g) * (B^T d)]` for taps g, a window d and outputs o, the vjp with respect to d is
//! `B [(G g) * (A do)]`, and with respect to g it is `G^T [(A do) * (B^T d)]`. A and G evaluate polynomials of as
//! many coefficients as there are outputs and taps; B belongs to their product, whose degree is the same for two
//! taps as for three: so both have the same windows and points.
//!
//! These points keep every factor within 1/8 and 4/3: measured on random numbers, the error of both dimensions
//! together is about twice that of the sum of products itself. What it is bounded by is the algorithm over absolute
//! values, `|A^T| [(|G| |g|) * (|B^T| |d|)]`: for numbers of one size, at most 87 times their sum of products for
//! F(4, 2) in both dimensions, 64 times for F(3, 3), and 256 times for F(4, 3) with one more point at 0, whose tiles
//! would also need another B.

use crate::simd::Simd;

/// Elements of a window, and products, along each axis: for two taps and four outputs, for three of each.
pub(crate) const WINDOW: usize = 5;
/// Products of a tile: each is a matrix product over channels.
pub(crate) const POINTS: usize = WINDOW * WINDOW;

/// The point that F(3, 2) and F(2, 3) leave out.
pub(crate) const LEFT_OUT: usize = 3;

/// Outputs of a full tile along an axis.
pub(crate) const fn outputs(taps: usize) -> usize {
    WINDOW + 1 - taps
}

/// Elements of a tile's window along an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// [`WINDOW`] of them.
    Full,
    /// The last output, the last element of the window and the point [`LEFT_OUT`] are neither read nor given.
    Short,
}

/// Calls a method for the extents of a tile as constants: transforms are to stay in registers.
macro_rules! by_extents {
    ($extents:expr, $this:ident.$method:ident::<$V:ident>($($argument:expr),*)) => {
        match $extents {
            [Extent::Full, Extent::Full] => $this.$method::<$V, 5, 5>($($argument),*),
            [Extent::Full, Extent::Short] => $this.$method::<$V, 5, 4>($($argument),*),
            [Extent::Short, Extent::Full] => $this.$method::<$V, 4, 5>($($argument),*),
            [Extent::Short, Extent::Short] => $this.$method::<$V, 4, 4>($($argument),*),
        }
    };
}
pub(crate) use by_extents;

/// Whether a tile with a window of H x W has a product at a point.
#[inline(always)]
pub(crate) fn has<const H: usize, const W: usize>(point: usize) -> bool {
    let left_out = |i: usize, extent: usize| i == LEFT_OUT && extent < WINDOW;
    !left_out(point / WINDOW, H) && !left_out(point % WINDOW, W)
}

/// A linear map of N numbers to M.
pub(crate) trait Transform<const N: usize, const M: usize> {
    /// Along an axis with E elements of the window, 5 or 4.
    fn line<V: Simd, const E: usize>(x: [V; N]) -> [V; M];

    /// Along both axes, of a tile with a window of H x W.
    #[inline(always)]
    fn square<V: Simd, const H: usize, const W: usize>(x: [[V; N]; N]) -> [[V; M]; M] {
        let zero = V::splat(0.0);
        let mut half = [[zero; N]; M];
        for j in 0..N {
            let mut column = [zero; N];
            for i in 0..N {
                column[i] = x[i][j];
            }
            let column = Self::line::<V, H>(column);
            for i in 0..M {
                half[i][j] = column[i];
            }
        }
        let mut y = [[zero; M]; M];
        for i in 0..M {
            y[i] = Self::line::<V, W>(half[i]);
        }
        y
    }
}

/// B^T: a window at the points.
pub(crate) struct FromWindow;

impl Transform<WINDOW, WINDOW> for FromWindow {
    #[inline(always)]
    fn line<V: Simd, const E: usize>(d: [V; WINDOW]) -> [V; WINDOW] {
        if E < WINDOW {
            let (half, zero) = (V::splat(0.5), V::splat(0.0));
            let difference = d[2].sub(d[0]);
            return [
                d[1].mul_add(V::splat(0.75), d[2].mul_add(V::splat(1.5), d[0].mul(V::splat(-0.75)))),
                d[1].mul_add(V::splat(0.75), d[0].mul_add(half, d[2]).mul(V::splat(-0.5))),
                difference,
                zero,
                d[3].sub(d[1]).add(difference.mul(V::splat(-0.5))),
            ];
        }
        let quarter = V::splat(0.25);
        let even = d[1].mul_add(V::splat(-0.25), d[3]);
        let odd = d[0].mul_add(V::splat(-0.25), d[2]);
        let half_even = d[3].sub(d[1]);
        let half_odd = d[2].sub(d[0]).mul(V::splat(0.5));
        let infinity = d[2].mul_add(V::splat(-1.25), d[0].mul_add(quarter, d[4]));
        [even.add(odd), even.sub(odd), half_even.add(half_odd), half_even.sub(half_odd), infinity]
    }
}

/// B: the vjp with respect to the window, from the products at the points.
pub(crate) struct ToWindow;

impl Transform<WINDOW, WINDOW> for ToWindow {
    #[inline(always)]
    fn line<V: Simd, const E: usize>(q: [V; WINDOW]) -> [V; WINDOW] {
        if E < WINDOW {
            let last = q[4].mul_add(V::splat(-0.5), q[2]);
            return [
                q[0].mul_add(V::splat(-0.75), q[1].mul_add(V::splat(-0.25), V::splat(0.0).sub(last))),
                q[0].add(q[1]).mul_add(V::splat(0.75), V::splat(0.0).sub(q[4])),
                q[0].mul_add(V::splat(1.5), q[1].mul_add(V::splat(-0.5), last)),
                q[4],
                V::splat(0.0),
            ];
        }
        let (even, odd) = (q[0].add(q[1]), q[0].sub(q[1]));
        let (half_even, half_odd) = (q[2].add(q[3]), q[2].sub(q[3]).mul(V::splat(0.5)));
        [
            odd.sub(q[4]).mul_add(V::splat(-0.25), V::splat(0.0).sub(half_odd)),
            even.mul_add(V::splat(-0.25), V::splat(0.0).sub(half_even)),
            q[4].mul_add(V::splat(-1.25), odd.add(half_odd)),
            even.add(half_even),
            q[4],
        ]
    }
}

/// A^T: the outputs from the products at the points.
pub(crate) struct ToOutputs;

impl Transform<WINDOW, 4> for ToOutputs {
    #[inline(always)]
    fn line<V: Simd, const E: usize>(m: [V; WINDOW]) -> [V; 4] {
        let (even, odd) = (m[0].add(m[1]), m[0].sub(m[1]));
        if E < WINDOW {
            let last = m[2].mul_add(V::splat(0.25), even.add(m[4]));
            return [even.add(m[2]), m[2].mul_add(V::splat(0.5), odd), last, V::splat(0.0)];
        }
        let (half_even, half_odd) = (m[2].add(m[3]), m[2].sub(m[3]));
        [
            even.add(half_even),
            half_odd.mul_add(V::splat(0.5), odd),
            half_even.mul_add(V::splat(0.25), even),
            half_odd.mul_add(V::splat(0.125), odd.add(m[4])),
        ]
    }
}

impl Transform<WINDOW, 3> for ToOutputs {
    #[inline(always)]
    fn line<V: Simd, const E: usize>(m: [V; WINDOW]) -> [V; 3] {
        let (even, odd) = (m[0].add(m[1]), m[0].sub(m[1]));
        if E < WINDOW {
            return [even.add(m[2]), m[2].mul_add(V::splat(0.5), odd.add(m[4])), V::splat(0.0)];
        }
        let (half_even, half_odd) = (m[2].add(m[3]), m[2].sub(m[3]));
        [
            even.add(half_even),
            half_odd.mul_add(V::splat(0.5), odd),
            half_even.mul_add(V::splat(0.25), even.add(m[4])),
        ]
    }
}

/// A: cotangents of the outputs at the points.
pub(crate) struct FromOutputs;

impl Transform<4, WINDOW> for FromOutputs {
    #[inline(always)]
    fn line<V: Simd, const E: usize>(o: [V; 4]) -> [V; WINDOW] {
        if E < WINDOW {
            let even = o[0].add(o[2]);
            let at_half = o[1].mul_add(V::splat(0.5), o[2].mul_add(V::splat(0.25), o[0]));
            return [even.add(o[1]), even.sub(o[1]), at_half, V::splat(0.0), o[2]];
        }
        let (even, odd) = (o[0].add(o[2]), o[1].add(o[3]));
        let half_even = o[2].mul_add(V::splat(0.25), o[0]);
        let half_odd = o[3].mul_add(V::splat(0.25), o[1]).mul(V::splat(0.5));
        [even.add(odd), even.sub(odd), half_even.add(half_odd), half_even.sub(half_odd), o[3]]
    }
}

impl Transform<3, WINDOW> for FromOutputs {
    #[inline(always)]
    fn line<V: Simd, const E: usize>(o: [V; 3]) -> [V; WINDOW] {
        if E < WINDOW {
            let at_half = o[1].mul_add(V::splat(0.5), o[0]);
            return [o[0].add(o[1]), o[0].sub(o[1]), at_half, V::splat(0.0), o[1]];
        }
        let (even, half_even) = (o[0].add(o[2]), o[2].mul_add(V::splat(0.25), o[0]));
        let half_odd = o[1].mul(V::splat(0.5));
        [even.add(o[1]), even.sub(o[1]), half_even.add(half_odd), half_even.sub(half_odd), o[2]]
    }
}

/// G: the taps at the points.
pub(crate) struct FromTaps;

impl Transform<2, WINDOW> for FromTaps {
    #[inline(always)]
    fn line<V: Simd, const E: usize>([g, h]: [V; 2]) -> [V; WINDOW] {
        let (two_thirds, two) = (V::splat(2.0 / 3.0), V::splat(2.0));
        let (sum, difference) = (h.add(g), h.sub(g));
        let (half_sum, half_difference) = (g.mul_add(two, h), g.mul_add(two, V::splat(0.0).sub(h)));
        let minus = V::splat(-2.0 / 3.0);
        [
            sum.mul(two_thirds),
            difference.mul(two_thirds),
            half_sum.mul(minus),
            half_difference.mul(two_thirds),
            h,
        ]
    }
}

impl Transform<3, WINDOW> for FromTaps {
    #[inline(always)]
    fn line<V: Simd, const E: usize>([g, h, i]: [V; 3]) -> [V; WINDOW] {
        let (two_thirds, minus) = (V::splat(2.0 / 3.0), V::splat(-2.0 / 3.0));
        let even = g.add(i);
        let half_even = i.mul_add(V::splat(0.5), g.add(g));
        [
            even.add(h).mul(two_thirds),
            h.sub(even).mul(two_thirds),
            half_even.add(h).mul(minus),
            half_even.sub(h).mul(two_thirds),
            i,
        ]
    }
}

/// G^T: the vjp with respect to the taps, from the products at the points.
pub(crate) struct ToTaps;

impl Transform<WINDOW, 2> for ToTaps {
    #[inline(always)]
    fn line<V: Simd, const E: usize>(q: [V; WINDOW]) -> [V; 2] {
        let two_thirds = V::splat(2.0 / 3.0);
        let (sum, difference) = (q[0].add(q[1]), q[0].sub(q[1]));
        let (half_sum, half_difference) = (q[2].add(q[3]), q[3].sub(q[2]));
        [
            half_difference.mul_add(V::splat(2.0), difference).mul(two_thirds),
            sum.sub(half_sum).mul_add(two_thirds, q[4]),
        ]
    }
}

impl Transform<WINDOW, 3> for ToTaps {
    #[inline(always)]
    fn line<V: Simd, const E: usize>(q: [V; WINDOW]) -> [V; 3] {
        let two_thirds = V::splat(2.0 / 3.0);
        let (sum, difference) = (q[0].add(q[1]), q[0].sub(q[1]));
        let (half_sum, half_difference) = (q[2].add(q[3]), q[3].sub(q[2]));
        [
            half_difference.mul_add(V::splat(2.0), difference).mul(two_thirds),
            sum.sub(half_sum).mul(two_thirds),
            half_difference.mul_add(V::splat(0.5), difference).mul_add(two_thirds, q[4]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::simd::Job;

    /// The three identities on integers, where rounding is far below 1e-4, for T taps and N outputs.
    struct Identities<const T: usize, const N: usize>;

    impl<const T: usize, const N: usize> Job for Identities<T, N>
    where
        FromTaps: Transform<T, WINDOW>,
        ToTaps: Transform<WINDOW, T>,
        FromOutputs: Transform<N, WINDOW>,
        ToOutputs: Transform<WINDOW, N>,
    {
        type Output = ();

        unsafe fn run<V: Simd>(self) {
            self.check::<V, 5, 5>();
            self.check::<V, 5, 4>();
            self.check::<V, 4, 5>();
            self.check::<V, 4, 4>();
        }
    }

    impl<const T: usize, const N: usize> Identities<T, N>
    where
        FromTaps: Transform<T, WINDOW>,
        ToTaps: Transform<WINDOW, T>,
        FromOutputs: Transform<N, WINDOW>,
        ToOutputs: Transform<WINDOW, N>,
    {
        fn check<V: Simd, const H: usize, const W: usize>(&self) {
            assert_eq!(outputs(T), N);
            let number = |i: usize| ((i * 7 + 3) % 11) as f32 - 5.0;
            let (mut window, mut taps) = ([[0.0; WINDOW]; WINDOW], [[0.0; T]; T]);
            let mut cotangents = [[0.0; N]; N];
            for (i, x) in window.as_flattened_mut().iter_mut().enumerate() {
                *x = number(i);
            }
            for (i, x) in taps.as_flattened_mut().iter_mut().enumerate() {
                *x = number(i + 5);
            }
            for (i, x) in cotangents.as_flattened_mut().iter_mut().enumerate() {
                *x = number(i * i + 2);
            }
            let v = FromWindow::square::<V, H, W>(window.map(|row| row.map(V::splat)));
            // The same for all.
            let u = FromTaps::square::<V, 5, 5>(taps.map(|row| row.map(V::splat)));
            let a = FromOutputs::square::<V, H, W>(cotangents.map(|row| row.map(V::splat)));
            let times = |a: [[V; WINDOW]; WINDOW], b: [[V; WINDOW]; WINDOW]| {
                let mut product = a;
                for i in 0..WINDOW {
                    for j in 0..WINDOW {
                        product[i][j] = a[i][j].mul(b[i][j]);
                    }
                }
                product
            };
            let outputs = ToOutputs::square::<V, H, W>(times(u, v));
            let of_window = ToWindow::square::<V, H, W>(times(u, a));
            let of_taps = ToTaps::square::<V, 5, 5>(times(a, v));
            let first = |x: V| x.sum() / V::LANES as f32;
            let (mut want_window, mut want_taps) = ([[0.0; WINDOW]; WINDOW], [[0.0; T]; T]);
            for i in 0..=H - T {
                for j in 0..=W - T {
                    let mut want = 0.0;
                    for t in 0..T {
                        for s in 0..T {
                            want += taps[t][s] * window[i + t][j + s];
                            want_window[i + t][j + s] += taps[t][s] * cotangents[i][j];
                            want_taps[t][s] += window[i + t][j + s] * cotangents[i][j];
                        }
                    }
                    assert!((first(outputs[i][j]) - want).abs() < 1e-4, "{H} x {W}: output {i}, {j}");
                }
            }
            for i in 0..H {
                for j in 0..W {
                    let error = (first(of_window[i][j]) - want_window[i][j]).abs();
                    assert!(error < 1e-3, "{H} x {W}: window {i}, {j}");
                }
            }
            for t in 0..T {
                for s in 0..T {
                    let error = (first(of_taps[t][s]) - want_taps[t][s]).abs();
                    assert!(error < 1e-3, "{H} x {W}: tap {t}, {s}");
                }
            }
        }
    }

    #[test]
    fn products_at_the_points_give_outputs_and_gradients() {
        for isa in Isa::available() {
            // SAFETY: there is nothing to rely on.
            unsafe {
                isa.run(Identities::<2, 4>);
                isa.run(Identities::<3, 3>);
            }
        }
    }
}
