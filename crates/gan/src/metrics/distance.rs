//! Squared Euclidean distances between the rows of two sets of features.

use gannet_cpu::{Isa, squared_distances};

use crate::metrics::Features;

/// Rows of a tile: with 128 features it takes 128 KiB, and stays in a core's cache while many rows pass over it.
const TILE: usize = 256;

/// Calls `visit(i, j, |a_i - b_j|^2)` for each i in `rows` and each row j of `b`, tile by tile.
pub(crate) fn for_each_distance(
    a: &Features,
    rows: std::ops::Range<usize>,
    b: &Features,
    mut visit: impl FnMut(usize, usize, f32),
) {
    // The sets differ in speed alone, so a variable that names none is the business of who computes a step.
    let isa = Isa::detect().unwrap_or(Isa::available()[0]);
    let mut distances = [0.0; TILE];
    for start in (0..b.len()).step_by(TILE) {
        let tile = start..(start + TILE).min(b.len());
        let distances = &mut distances[..tile.len()];
        for i in rows.clone() {
            squared_distances(isa, a.row(i), b.range(tile.clone()), distances);
            for (j, &distance) in tile.clone().zip(distances.iter()) {
                visit(i, j, distance);
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
