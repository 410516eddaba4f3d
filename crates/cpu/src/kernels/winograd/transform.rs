//! The algorithm F(4, 2): four neighbouring outputs of a filter of two taps from five products instead of
//! eight, by evaluating polynomials at 1, -1, 1/2, -1/2 and infinity (Winograd 1980; Lavin and Gray 2016).
//! And F(3, 2), with the point -1/2 left out: four products for three outputs. Its windows are scaled so that
//! the taps at the points are the same, and one transformed kernel serves both.
//!
//! With `o = A^T [(G g) * (B^T d)]` for taps g, a window d and outputs o, the vjp with respect to g is
//! `G^T [(A do) * (B^T d)]`. These points keep every factor within 1/8 and 4/3: measured on random numbers,
//! the error of both dimensions together is about twice that of the sum of products itself.

use crate::simd::Simd;

/// Outputs of a tile along each axis.
pub(crate) const OUTPUTS: usize = 4;
/// Taps along each axis.
pub(crate) const TAPS: usize = 2;
/// Elements of a window, and products, along each axis.
pub(crate) const WINDOW: usize = OUTPUTS + TAPS - 1;
/// Products of a tile: each is a matrix product over channels.
pub(crate) const POINTS: usize = WINDOW * WINDOW;

/// The point that F(3, 2) leaves out.
pub(crate) const LEFT_OUT: usize = 3;

/// Outputs of a tile along an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    Four,
    /// The last output, the last element of the window and the point [`LEFT_OUT`] are neither read nor given.
    Three,
}

/// A linear map of N numbers to M.
pub(crate) trait Transform<const N: usize, const M: usize> {
    /// Along one axis.
    fn line<V: Simd>(extent: Extent, x: [V; N]) -> [V; M];

    /// Along both axes, of a tile of the given extents.
    #[inline(always)]
    fn square<V: Simd>(extents: [Extent; 2], x: [[V; N]; N]) -> [[V; M]; M] {
        let zero = V::splat(0.0);
        let mut half = [[zero; N]; M];
        for j in 0..N {
            let mut column = [zero; N];
            for i in 0..N {
                column[i] = x[i][j];
            }
            let column = Self::line(extents[0], column);
            for i in 0..M {
                half[i][j] = column[i];
            }
        }
        let mut y = [[zero; M]; M];
        for i in 0..M {
            y[i] = Self::line(extents[1], half[i]);
        }
        y
    }
}

/// B^T: a window at the points.
pub(crate) struct FromWindow;

impl Transform<WINDOW, WINDOW> for FromWindow {
    #[inline(always)]
    fn line<V: Simd>(extent: Extent, d: [V; WINDOW]) -> [V; WINDOW] {
        if extent == Extent::Three {
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

/// A^T: the outputs from the products at the points.
pub(crate) struct ToOutputs;

impl Transform<WINDOW, OUTPUTS> for ToOutputs {
    #[inline(always)]
    fn line<V: Simd>(extent: Extent, m: [V; WINDOW]) -> [V; OUTPUTS] {
        let (even, odd) = (m[0].add(m[1]), m[0].sub(m[1]));
        if extent == Extent::Three {
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

/// A: cotangents of the outputs at the points.
pub(crate) struct FromOutputs;

impl Transform<OUTPUTS, WINDOW> for FromOutputs {
    #[inline(always)]
    fn line<V: Simd>(extent: Extent, o: [V; OUTPUTS]) -> [V; WINDOW] {
        if extent == Extent::Three {
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

/// G: the taps at the points.
pub(crate) struct FromTaps;

impl Transform<TAPS, WINDOW> for FromTaps {
    #[inline(always)]
    fn line<V: Simd>(_: Extent, [g, h]: [V; TAPS]) -> [V; WINDOW] {
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

/// G^T: the vjp with respect to the taps, from the products at the points.
pub(crate) struct ToTaps;

impl Transform<WINDOW, TAPS> for ToTaps {
    #[inline(always)]
    fn line<V: Simd>(_: Extent, q: [V; WINDOW]) -> [V; TAPS] {
        let two_thirds = V::splat(2.0 / 3.0);
        let (sum, difference) = (q[0].add(q[1]), q[0].sub(q[1]));
        let (half_sum, half_difference) = (q[2].add(q[3]), q[3].sub(q[2]));
        [
            half_difference.mul_add(V::splat(2.0), difference).mul(two_thirds),
            sum.sub(half_sum).mul_add(two_thirds, q[4]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::simd::Job;

    /// Both identities on integers, where rounding is far below 1e-4.
    struct Identities([Extent; 2]);

    impl Job for Identities {
        type Output = ();

        fn run<V: Simd>(self) {
            let extents = self.0;
            let size = extents.map(|extent| if extent == Extent::Four { 4 } else { 3 });
            let number = |i: usize| ((i * 7 + 3) % 11) as f32 - 5.0;
            let (mut window, mut taps) = ([[0.0; WINDOW]; WINDOW], [[0.0; TAPS]; TAPS]);
            let mut cotangents = [[0.0; OUTPUTS]; OUTPUTS];
            for (i, x) in window.as_flattened_mut().iter_mut().enumerate() {
                *x = number(i);
            }
            for (i, x) in taps.as_flattened_mut().iter_mut().enumerate() {
                *x = number(i + 5);
            }
            for (i, x) in cotangents.as_flattened_mut().iter_mut().enumerate() {
                *x = number(i * i + 2);
            }
            let v = FromWindow::square(extents, window.map(|row| row.map(V::splat)));
            // The same for all.
            let u = FromTaps::square([Extent::Four; 2], taps.map(|row| row.map(V::splat)));
            let a = FromOutputs::square(extents, cotangents.map(|row| row.map(V::splat)));
            let times = |a: [[V; WINDOW]; WINDOW], b: [[V; WINDOW]; WINDOW]| {
                let mut product = a;
                for i in 0..WINDOW {
                    for j in 0..WINDOW {
                        product[i][j] = a[i][j].mul(b[i][j]);
                    }
                }
                product
            };
            let outputs = ToOutputs::square(extents, times(u, v));
            let grads = ToTaps::square([Extent::Four; 2], times(a, v));
            let first = |x: V| x.sum() / V::LANES as f32;
            for i in 0..size[0] {
                for j in 0..size[1] {
                    let terms = (0..4).map(|t| taps[t / 2][t % 2] * window[i + t / 2][j + t % 2]);
                    let want: f32 = terms.sum();
                    assert!((first(outputs[i][j]) - want).abs() < 1e-4, "{extents:?}: output {i}, {j}");
                }
            }
            for t in 0..TAPS {
                for s in 0..TAPS {
                    let mut want = 0.0;
                    for i in 0..size[0] {
                        for j in 0..size[1] {
                            want += cotangents[i][j] * window[i + t][j + s];
                        }
                    }
                    assert!((first(grads[t][s]) - want).abs() < 1e-3, "{extents:?}: tap {t}, {s}");
                }
            }
        }
    }

    #[test]
    fn products_at_the_points_give_outputs_and_gradients() {
        for isa in Isa::available() {
            for rows in [Extent::Four, Extent::Three] {
                for columns in [Extent::Four, Extent::Three] {
                    isa.run(Identities([rows, columns]));
                }
            }
        }
    }
}
