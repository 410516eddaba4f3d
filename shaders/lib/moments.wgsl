// Count, mean and sum of squared deviations of a set of numbers.
struct Moments {
    count: f32,
    mean: f32,
    m2: f32,
}

// The moments of the union of two sets (Chan, Golub, LeVeque 1979).
fn merge_moments(a: Moments, b: Moments) -> Moments {
    let count = a.count + b.count;
    if b.count == 0.0 {
        return a;
    }
    let share = b.count / count;
    let delta = b.mean - a.mean;
    return Moments(count, fma(delta, share, a.mean), a.m2 + fma(delta * delta, a.count * share, b.m2));
}
