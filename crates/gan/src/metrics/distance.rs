//! Squared Euclidean distances between the rows of two sets of features.

use crate::metrics::Features;

/// Partial sums, so that they fit vector registers.
const LANES: usize = 16;

/// Rows of a tile: with 128 features it takes 128 KiB, and stays in a core's cache while many rows pass over it.
const TILE: usize = 256;

/// |a - b|^2. Exactly 0 for equal rows, and the same bits with a and b exchanged.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += (a - b) * (a - b);
    }
    total(sums)
}

/// The sum by halves: a chain of four additions instead of fifteen.
fn total(mut sums: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// Calls `visit(i, j, |a_i - b_j|^2)` for each i in `rows` and each row j of `b`, tile by tile.
pub(crate) fn for_each_distance(
    a: &Features,
    rows: std::ops::Range<usize>,
    b: &Features,
    mut visit: impl FnMut(usize, usize, f32),
) {
    for start in (0..b.len()).step_by(TILE) {
        let tile = start..(start + TILE).min(b.len());
        for i in rows.clone() {
            let row = a.row(i);
            for j in tile.clone() {
                visit(i, j, squared_distance(row, b.row(j)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn distances_are_those_of_the_definition() {
        let mut stream = Stream::new(1, "distances", 0);
        for dim in [1, 15, 16, 17, 40] {
            let mut set = |n: usize| {
                Features::new((0..n * dim).map(|_| stream.normal() as f32).collect(), dim).unwrap()
            };
            let (a, b) = (set(5), set(TILE + 3));
            let mut seen = vec![0; 3 * b.len()];
            for_each_distance(&a, 1..4, &b, |i, j, distance| {
                seen[(i - 1) * b.len() + j] += 1;
                let expected: f64 =
                    a.row(i).iter().zip(b.row(j)).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
                assert!((f64::from(distance) - expected).abs() < 1e-5 * expected, "{distance} {expected}");
            });
            assert!(seen.iter().all(|&n| n == 1));
        }
    }
}
