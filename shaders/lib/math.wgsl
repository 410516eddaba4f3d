// Transcendental functions to a few units in the last place on any adapter: WGSL leaves the built-in ones
// inherited or absolute error bounds (log near 1, tanh near 0) and tanh may overflow for large arguments.

// exp(x) = 2^n exp(r), |r| <= ln(2) / 2; the Taylor polynomial of degree 7 ends below 2^-27. ln(2) is split so
// that n times its first part is exact, and 2^n is applied in two factors so that the ends of the range round
// to infinity and to zero by themselves.
fn exp_f32(x: f32) -> f32 {
    let limited = clamp(x, -104.0, 90.0);
    let n = round(limited * 1.44269504);
    var r = fma(n, -0.693359375, limited);
    r = fma(n, 2.12194440e-4, r);
    var p = fma(r, 1.98412698e-4, 1.38888889e-3);
    p = fma(p, r, 8.33333333e-3);
    p = fma(p, r, 4.16666667e-2);
    p = fma(p, r, 1.66666667e-1);
    p = fma(p, r, 0.5);
    p = fma(p, r, 1.0);
    p = fma(p, r, 1.0);
    let whole = i32(n);
    let half = whole / 2;
    return p * power_of_two(half) * power_of_two(whole - half);
}

fn power_of_two(n: i32) -> f32 {
    return bitcast<f32>(u32(n + 127) << 23u);
}

// 2 atanh(s) for |s| <= 1/3: the series ends below 2^-26 of its sum.
fn twice_atanh(s: f32) -> f32 {
    let z = s * s;
    var p = fma(z, 0.0666666667, 0.0769230769);
    p = fma(p, z, 0.0909090909);
    p = fma(p, z, 0.111111111);
    p = fma(p, z, 0.142857143);
    p = fma(p, z, 0.2);
    p = fma(p, z, 0.333333333);
    return 2.0 * fma(p * z, s, s);
}

// log(x) = e ln(2) + 2 atanh((m - 1) / (m + 1)) with x = 2^e m, m between sqrt(1/2) and sqrt(2).
fn log_f32(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    // 0x3f3504f3 is sqrt(1/2): numbers from there to sqrt(2) share the exponent 0.
    let shifted = bits - 0x3f3504f3u;
    let exponent = bitcast<i32>(shifted) >> 23u;
    let m = bitcast<f32>((shifted & 0x007fffffu) + 0x3f3504f3u);
    let e = f32(exponent);
    return fma(e, 0.693359375, fma(e, -2.12194440e-4, twice_atanh((m - 1.0) / (m + 1.0))));
}

// log(1 + u) for 0 <= u <= 1.
fn log_1p(u: f32) -> f32 {
    return twice_atanh(u / (2.0 + u));
}

// Near 0 the Pade approximant of orders 5 and 4 (Lambert's continued fraction), elsewhere by exp of an argument
// clamped to where tanh has long rounded to 1.
fn tanh_f32(x: f32) -> f32 {
    let t = min(abs(x), 20.0);
    if t < 0.625 {
        let z = t * t;
        return x * fma(z + 105.0, z, 945.0) / fma(fma(z, 15.0, 420.0), z, 945.0);
    }
    let y = 1.0 - 2.0 / (exp_f32(2.0 * t) + 1.0);
    return select(y, -y, x < 0.0);
}

fn sigmoid_f32(x: f32) -> f32 {
    let e = exp_f32(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}

// scale sigmoid(x) + shift. For positive x from 1 - sigmoid(x) = sigmoid(-x), which keeps its digits when the sigmoid
// is nearly 1 and shift is -scale.
fn sigmoid_affine(x: f32, scale: f32, shift: f32) -> f32 {
    let s = sigmoid_f32(-abs(x));
    return select(fma(s, scale, shift), fma(-s, scale, scale + shift), x > 0.0);
}

fn softplus_f32(x: f32) -> f32 {
    return max(x, 0.0) + log_1p(exp_f32(-abs(x)));
}

// exp(x) - 1 for x below 0: the Taylor polynomial near 0, where the difference would cancel.
fn exp_m1_f32(x: f32) -> f32 {
    if x > -0.35 {
        var p = fma(x, 2.48015873e-5, 1.98412698e-4);
        p = fma(p, x, 1.38888889e-3);
        p = fma(p, x, 8.33333333e-3);
        p = fma(p, x, 4.16666667e-2);
        p = fma(p, x, 1.66666667e-1);
        p = fma(p, x, 0.5);
        p = fma(p, x, 1.0);
        return p * x;
    }
    return exp_f32(x) - 1.0;
}

// The distribution function of the standard normal distribution. Within 1 of 0 its series; beyond, the tail
// erfc(|x| / sqrt(2)) / 2 by a Chebyshev fit with a relative error of 1.2e-7 (Press et al., Numerical Recipes, 6.2).
fn normal_cdf_f32(x: f32) -> f32 {
    let a = min(abs(x), 14.0);
    if a < 1.0 {
        let z = x * x;
        var p = fma(z, -4.12266741e-8, 6.65969352e-7);
        p = fma(p, z, -9.44465626e-6);
        p = fma(p, z, 1.15434688e-4);
        p = fma(p, z, -1.18732822e-3);
        p = fma(p, z, 9.97355701e-3);
        p = fma(p, z, -6.64903801e-2);
        p = fma(p, z, 3.98942280e-1);
        return fma(p, x, 0.5);
    }
    let t = 1.0 / fma(a, 0.353553391, 1.0);
    var p = fma(t, 0.17087277, -0.82215223);
    p = fma(p, t, 1.48851587);
    p = fma(p, t, -1.13520398);
    p = fma(p, t, 0.27886807);
    p = fma(p, t, -0.18628806);
    p = fma(p, t, 0.09678418);
    p = fma(p, t, 0.37409196);
    p = fma(p, t, 1.00002368);
    p = fma(p, t, -1.26551223);
    // The square of a in two parts: its rounding would be magnified.
    let square = a * a;
    let rest = fma(a, a, -square);
    let tail = 0.5 * t * exp_f32(-0.5 * square) * exp_f32(fma(rest, -0.5, p));
    return select(tail, 1.0 - tail, x > 0.0);
}
