//! The seed of everything that is not given one.

use std::sync::atomic::{AtomicU64, Ordering};

use gannet_tensor::Element;

use crate::random::Stream;

static SEED: AtomicU64 = AtomicU64::new(42);
static DRAWS: AtomicU64 = AtomicU64::new(0);

/// Sets the seed that [`Sequential::compile`](crate::Sequential::compile) and [`noise`] start from, for the whole
/// process: Keras' `set_random_seed`. It is 42 until it is set.
pub fn set_seed(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
    DRAWS.store(0, Ordering::Relaxed);
}

/// The seed of the process.
pub fn seed() -> u64 {
    SEED.load(Ordering::Relaxed)
}

/// `count` independent standard normal numbers. Every call since [`set_seed`] gives others, and the calls give the same
/// numbers again after it.
pub fn noise<E: Element>(count: usize) -> Vec<E> {
    let mut stream = Stream::new(seed(), "noise", DRAWS.fetch_add(1, Ordering::Relaxed));
    crate::gan::normal(count, &mut stream)
}
