//! Elementary functions on vectors, accurate to a few ulp over the whole range of f32.

use crate::simd::Simd;

/// e^x. Below -87.3 the result is below the normal range and becomes e^-87.3; above 88.7 it is infinity.
///
/// Cody and Waite's reduction x = n ln 2 + r, |r| <= ln 2 / 2, then the Taylor polynomial of degree 7
/// in r, whose remainder is below 2^-27.
#[inline(always)]
pub(crate) fn exp<V: Simd>(x: V) -> V {
    // In this order of operands NaN passes through.
    let bounded = V::splat(-87.3).max(V::splat(88.8).min(x));
    let n = bounded.mul(V::splat(std::f32::consts::LOG2_E)).round();
    // ln 2 in two parts, the first with so few bits that n times it is exact.
    let r = n.mul_add(V::splat(-0.693_359_4), bounded);
    let r = n.mul_add(V::splat(2.121_944_4e-4), r);
    let mut p = V::splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p.mul_add(r, V::splat(c));
    }
    // 2^128 is out of range as a factor: scale in two steps.
    let half = n.mul(V::splat(0.5)).round();
    let y = p.mul(half.exp2_integral()).mul(n.sub(half).exp2_integral());
    x.select_gt(V::splat(88.722_84), V::splat(f32::INFINITY), y)
}

/// e^x - 1, accurate near zero.
#[inline(always)]
pub(crate) fn exp_m1<V: Simd>(x: V) -> V {
    // |x| <= 0.35: the Taylor polynomial; beyond, nothing cancels by more than two bits.
    let mut p = V::splat(1.0 / 40320.0);
    for c in [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0] {
        p = p.mul_add(x, V::splat(c));
    }
    x.abs().select_gt(V::splat(0.35), exp(x).sub(V::splat(1.0)), p.mul(x))
}

/// The natural logarithm: -infinity at zero, NaN below.
///
/// x = m 2^e with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh(s), s = (m - 1) / (m + 1), by its series.
#[inline(always)]
pub(crate) fn log<V: Simd>(x: V) -> V {
    // Subnormal numbers are scaled into the normal range.
    let tiny = V::splat(f32::MIN_POSITIVE);
    let scaled = tiny.select_gt(x, x.mul(V::splat(8_388_608.0)), x);
    let bias = tiny.select_gt(x, V::splat(-23.0), V::splat(0.0));
    let (m, e) = scaled.mantissa_exponent();
    let big = V::splat(std::f32::consts::SQRT_2);
    let e = m.select_gt(big, e.add(V::splat(1.0)), e).add(bias);
    let m = m.select_gt(big, m.mul(V::splat(0.5)), m);
    let y = e.mul_add(V::splat(0.693_359_4), log_near_one(m.sub(V::splat(1.0)), e));
    let y = x.select_gt(V::splat(f32::MAX), V::splat(f32::INFINITY), y);
    // What is not above zero is zero if it is above the largest negative number, else negative or NaN.
    let otherwise =
        x.select_gt(V::splat(-f32::MIN_POSITIVE), V::splat(f32::NEG_INFINITY), V::splat(f32::NAN));
    x.select_gt(V::splat(0.0), y, otherwise)
}

/// ln(1 + f) - 2.12e-4 e for f in [sqrt(1/2) - 1, sqrt(2) - 1): the second part of ln 2 is added where
/// the numbers are small.
#[inline(always)]
fn log_near_one<V: Simd>(f: V, e: V) -> V {
    // ln(1 + f) = f - f^2/2 + s (f^2/2 + r), s = f / (2 + f), r = the rest of the series in s^2.
    let s = f.div(f.add(V::splat(2.0)));
    let z = s.mul(s);
    let mut r = V::splat(2.0 / 11.0);
    for c in [2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0] {
        r = r.mul_add(z, V::splat(c));
    }
    let half_square = f.mul(f).mul(V::splat(0.5));
    let rest = s.mul(half_square.add(r.mul(z)));
    let small = e.mul_add(V::splat(-2.121_944_4e-4), rest);
    f.sub(half_square.sub(small))
}

/// ln(1 + u) for u in [0, 1], accurate near zero.
#[inline(always)]
fn log1p_unit<V: Simd>(u: V) -> V {
    // 1 + u in [1, 2]: above sqrt(2), halve it; (1 + u) / 2 - 1 = (u - 1) / 2 is exact.
    let one = V::splat(1.0);
    let zero = V::splat(0.0);
    let big = V::splat(std::f32::consts::SQRT_2 - 1.0);
    let f = u.select_gt(big, u.sub(one).mul(V::splat(0.5)), u);
    let e = u.select_gt(big, one, zero);
    e.mul_add(V::splat(0.693_359_4), log_near_one(f, e))
}

/// 1 / (1 + e^-x), without overflow: e^-|x| is at most 1.
#[inline(always)]
pub(crate) fn sigmoid<V: Simd>(x: V) -> V {
    let one = V::splat(1.0);
    let e = exp(V::splat(0.0).sub(x.abs()));
    let denominator = one.add(e);
    // Not 1 - 1 / (1 + e) on the negative side, which would cancel.
    x.select_gt(V::splat(0.0), one, e).div(denominator)
}

/// The hyperbolic tangent: -t / (t + 2) with t = e^(-2|x|) - 1, and the sign of x.
#[inline(always)]
pub(crate) fn tanh<V: Simd>(x: V) -> V {
    let zero = V::splat(0.0);
    let t = exp_m1(x.abs().mul(V::splat(-2.0)));
    let y = zero.sub(t).div(t.add(V::splat(2.0)));
    zero.select_gt(x, zero.sub(y), y)
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|).
#[inline(always)]
pub(crate) fn softplus<V: Simd>(x: V) -> V {
    let zero = V::splat(0.0);
    // In this order of operands NaN passes through.
    zero.max(x).add(log1p_unit(exp(zero.sub(x.abs()))))
}

/// The distribution function of the standard normal distribution. Within 1 of zero its series; beyond, the tail
/// erfc(|x| / sqrt(2)) / 2 by a Chebyshev fit with a relative error of 1.2e-7 (Press et al., Numerical Recipes, 6.2).
#[inline(always)]
pub(crate) fn normal_cdf<V: Simd>(x: V) -> V {
    let (zero, one, half) = (V::splat(0.0), V::splat(1.0), V::splat(0.5));
    let z = x.mul(x);
    let mut near = V::splat(-4.122_667_4e-8);
    for c in [
        6.659_693_5e-7,
        -9.444_656e-6,
        1.154_346_9e-4,
        -1.187_328_2e-3,
        9.973_557e-3,
        -0.066_490_38,
        0.398_942_3,
    ] {
        near = near.mul_add(z, V::splat(c));
    }
    let near = near.mul_add(x, half);
    // In this order of operands NaN passes through.
    let a = V::splat(14.0).min(x.abs());
    let t = one.div(a.mul_add(V::splat(0.353_553_4), one));
    let mut p = V::splat(0.170_872_77);
    for c in [
        -0.822_152_23,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ] {
        p = p.mul_add(t, V::splat(c));
    }
    // The square of a in two parts: its rounding would be magnified.
    let square = a.mul(a);
    let rest = a.mul_add(a, zero.sub(square));
    let factor = exp(rest.mul_add(V::splat(-0.5), p)).mul(t).mul(half);
    let tail = exp(square.mul(V::splat(-0.5))).mul(factor);
    // What is below the normal numbers.
    let tail = a.select_gt(V::splat(13.0), zero, tail);
    one.select_gt(a, near, x.select_gt(zero, one.sub(tail), tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::simd::Job;

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Log,
        Sigmoid,
        Tanh,
        Softplus,
        NormalCdf,
    }

    struct Evaluate(Function, f32);

    impl Job for Evaluate {
        type Output = f32;

        #[inline(always)]
        unsafe fn run<V: Simd>(self) -> f32 {
            let x = V::splat(self.1);
            let y = match self.0 {
                Function::Exp => exp(x),
                Function::Log => log(x),
                Function::Sigmoid => sigmoid(x),
                Function::Tanh => tanh(x),
                Function::Softplus => softplus(x),
                Function::NormalCdf => normal_cdf(x),
            };
            let mut lanes = [0.0; 16];
            // SAFETY: no instruction set has more than 16 lanes.
            unsafe { y.store(lanes.as_mut_ptr()) };
            lanes[0]
        }
    }

    /// The error of f in units of the last place of the exact result, at worst over a sweep.
    fn worst(f: Function, exact: fn(f64) -> f64, range: (f32, f32), isa: Isa) -> f64 {
        let mut worst = 0.0_f64;
        for i in 0..=200_000 {
            let x = range.0 + (range.1 - range.0) * (i as f32 / 200_000.0);
            for x in [x, x * 1e-3, x * 1e-7] {
                let want = exact(f64::from(x));
                let nearest = want as f32;
                let ulp = f64::from(f32::from_bits(nearest.abs().to_bits() + 1)) - f64::from(nearest.abs());
                // SAFETY: there is nothing to rely on.
                let error = (f64::from(unsafe { isa.run(Evaluate(f, x)) }) - want).abs() / ulp;
                worst = worst.max(error);
            }
        }
        worst
    }

    #[test]
    fn functions_are_within_four_ulp() {
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for isa in Isa::available() {
            let worst = |f, exact, range| worst(f, exact, range, isa);
            for (name, error) in [
                ("exp", worst(Function::Exp, f64::exp, (-87.0, 88.7))),
                ("log", worst(Function::Log, f64::ln, (1e-30, 3.0))),
                ("log of large numbers", worst(Function::Log, f64::ln, (1.0, 3e38))),
                ("sigmoid", worst(Function::Sigmoid, sigmoid, (-87.0, 100.0))),
                ("tanh", worst(Function::Tanh, f64::tanh, (-20.0, 20.0))),
                ("softplus", worst(Function::Softplus, softplus, (-87.0, 100.0))),
            ] {
                assert!(error <= 4.0, "{name} on {isa}: {error} ulp");
            }
        }
    }

    #[test]
    fn limits_are_exact() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        for isa in Isa::available() {
            // SAFETY: there is nothing to rely on.
            let f = |f, x| unsafe { isa.run(Evaluate(f, x)) };
            for (function, x, want) in [
                (Function::Exp, inf, inf),
                (Function::Exp, 89.0, inf),
                (Function::Exp, 0.0, 1.0),
                (Function::Log, 0.0, -inf),
                (Function::Log, 1.0, 0.0),
                (Function::Log, inf, inf),
                (Function::Sigmoid, inf, 1.0),
                (Function::Sigmoid, 0.0, 0.5),
                (Function::Tanh, inf, 1.0),
                (Function::Tanh, -inf, -1.0),
                (Function::Tanh, 200.0, 1.0),
                (Function::Tanh, 0.0, 0.0),
                (Function::Softplus, inf, inf),
                (Function::Softplus, 200.0, 200.0),
                (Function::NormalCdf, inf, 1.0),
                (Function::NormalCdf, 0.0, 0.5),
                (Function::NormalCdf, -inf, 0.0),
                (Function::NormalCdf, -1e30, 0.0),
            ] {
                assert_eq!(f(function, x), want, "{isa}");
            }
            // What underflows is no larger than the smallest normal number.
            for (function, x) in [
                (Function::Exp, -inf),
                (Function::Exp, -100.0),
                (Function::Sigmoid, -200.0),
                (Function::Softplus, -inf),
            ] {
                assert!((0.0..=1.3e-38).contains(&f(function, x)), "{isa}");
            }
            assert!(f(Function::Log, -1.0).is_nan(), "{isa}");
            for function in [
                Function::Exp,
                Function::Log,
                Function::Sigmoid,
                Function::Tanh,
                Function::Softplus,
                Function::NormalCdf,
            ] {
                assert!(f(function, nan).is_nan(), "{isa}");
            }
            // Subnormal numbers have logarithms.
            assert!((f(Function::Log, 1e-40) - 1e-40_f32.ln()).abs() < 1e-4, "{isa}");
        }
    }
}
