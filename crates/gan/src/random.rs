//! Streams of random numbers: ChaCha8, one stream per purpose.
//!
//! A stream is fixed by the seed, the name of what it is for, and a number (a step, for instance). So a
//! parameter's initial values do not change when another layer is added, and a run continues with the same
//! latents after it was saved and loaded.

use gannet_tensor::Element;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream for `name` and `number` under `seed`. The key of the cipher is the seed and the number, its
    /// nonce the FNV-1a hash of the name.
    pub fn new(seed: u64, name: &str, number: u64) -> Stream {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&number.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(fnv1a(name));
        Stream(rng)
    }

    /// A number of the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// A number drawn evenly from [`low`, `high`).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    /// A whole number drawn evenly from 0..`n`.
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        self.0.random_range(0..n)
    }

    /// The numbers 0..`n` in a random order (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.0.random_range(0..=i));
        }
        order
    }
}

/// The point at `t` in [0, 1] of the way from latent `a` to `b` (White 2016, "Sampling Generative Networks"): along the
/// great circle between their directions, so that what lies between two normally distributed latents is about as long
/// as they are, where a straight line would pass closer to the origin. Latents in the same or opposite directions are
/// joined by the straight line. `t` of 0 and 1 give `a` and `b` themselves.
///
/// # Panics
/// When `a` and `b` have different lengths.
pub fn slerp<E: Element>(a: &[E], b: &[E], t: f64) -> Vec<E> {
    assert_eq!(a.len(), b.len(), "slerp goes between latents of the same length");
    let dot = |x: &[E], y: &[E]| -> f64 { x.iter().zip(y).map(|(x, y)| x.to_f64() * y.to_f64()).sum() };
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let angle = cosine.clamp(-1.0, 1.0).acos();
    let (from, to) = match angle.sin() {
        sine if sine > 1e-6 => (((1.0 - t) * angle).sin() / sine, (t * angle).sin() / sine),
        _ => (1.0 - t, t),
    };
    a.iter().zip(b).map(|(a, b)| E::of(from * a.to_f64() + to * b.to_f64())).collect()
}

/// The 64-bit FNV-1a hash.
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, name, number| Stream::new(seed, name, number).normal();
        assert_eq!(draw(1, "a", 2), draw(1, "a", 2));
        for other in [draw(2, "a", 2), draw(1, "b", 2), draw(1, "a", 3)] {
            assert_ne!(draw(1, "a", 2), other);
        }
    }

    #[test]
    fn a_way_between_latents_keeps_their_length_and_meets_both_ends() {
        let mut stream = Stream::new(3, "slerp", 0);
        let mut draw = || -> Vec<f64> { (0..50).map(|_| stream.normal()).collect() };
        let (a, b) = (draw(), draw());
        let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert_eq!((slerp(&a, &b, 0.0), slerp(&a, &b, 1.0)), (a.clone(), b.clone()));
        let scaled: Vec<f64> = b.iter().map(|x| x * length(&a) / length(&b)).collect();
        for t in [0.1, 0.5, 0.8] {
            assert!((length(&slerp(&a, &scaled, t)) / length(&a) - 1.0).abs() < 1e-12, "{t}");
        }
        // In a plane: 30 degrees of a right angle.
        let turned = slerp(&[2.0, 0.0], &[0.0, 2.0], 1.0 / 3.0);
        assert!((turned[0] - 3f64.sqrt()).abs() < 1e-12 && (turned[1] - 1.0).abs() < 1e-12, "{turned:?}");
        assert_eq!(slerp(&[1.0, 1.0], &[3.0, 3.0], 0.5), [2.0, 2.0]);
        assert_eq!(slerp(&[0.0, 0.0], &[3.0, 1.0], 0.5), [1.5, 0.5]);
    }

    #[test]
    fn fnv1a_has_its_published_values() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn permutations_hold_every_number() {
        let mut order = Stream::new(1, "order", 0).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
