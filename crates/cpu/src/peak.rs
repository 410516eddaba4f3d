//! The machine's peak: multiply-adds in registers, nothing else.

use crate::simd::{Job, Simd};

/// Twelve independent chains of `rounds` multiply-adds: more than latency times throughput of any CPU here.
pub(crate) struct Chains {
    pub(crate) rounds: usize,
}

const CHAINS: usize = 12;

impl Job for Chains {
    /// Floating-point operations done, and a number that depends on all of them.
    type Output = (u64, f32);

    #[inline(always)]
    unsafe fn run<V: Simd>(self) -> (u64, f32) {
        let factor = V::splat(std::hint::black_box(0.999));
        let summand = V::splat(std::hint::black_box(0.001));
        let mut chains = [V::splat(1.0); CHAINS];
        for _ in 0..self.rounds {
            for chain in &mut chains {
                *chain = chain.mul_add(factor, summand);
            }
        }
        let total = chains.into_iter().reduce(V::add).map_or(0.0, V::sum);
        (2 * (self.rounds * CHAINS * V::LANES) as u64, total)
    }
}
