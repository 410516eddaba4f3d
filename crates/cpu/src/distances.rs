//! Squared Euclidean distances, for metrics. Plain Rust, compiled for the instruction set in use: nothing is contracted, so
//! every set gives the same bits.

use crate::isa::Isa;
use crate::simd::{Job, Simd};

/// Partial sums, so that they fit vector registers.
const LANES: usize = 16;

/// |a - b|^2 into `out` for each row b, of the length of `a`, of `rows`. Exactly 0 for equal rows, and the same bits with
/// a and b exchanged.
///
/// # Panics
/// When `rows` is not `out.len()` rows.
pub fn squared_distances(isa: Isa, a: &[f32], rows: &[f32], out: &mut [f32]) {
    assert_eq!(rows.len(), a.len() * out.len(), "rows of {} numbers", a.len());
    // SAFETY: the lengths were checked above.
    unsafe { isa.run(Distances { a, rows, out }) };
}

struct Distances<'a> {
    a: &'a [f32],
    rows: &'a [f32],
    out: &'a mut [f32],
}

impl Job for Distances<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for (row, out) in self.rows.chunks_exact(self.a.len().max(1)).zip(self.out) {
            *out = squared_distance(self.a, row);
        }
    }
}

#[inline(always)]
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
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
#[inline(always)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let numbers = |count: usize| (0..count).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<f32>>();
        for dim in [1, 15, 16, 17, 40, 128] {
            let (a, rows) = (numbers(dim), numbers(5 * dim));
            let of = |isa: Isa| {
                let mut out = [9.0; 5];
                squared_distances(isa, &a, &rows, &mut out);
                out.map(f32::to_bits)
            };
            let expected = of(Isa::named("portable").unwrap());
            assert_eq!(expected[0], 0, "the first row is a");
            assert!(expected[1..].iter().all(|&bits| bits != 0));
            for isa in Isa::available() {
                assert_eq!(of(isa), expected, "{isa}, {dim} numbers");
            }
        }
    }
}
