//! mean = sum(x) / N, variance = sum((x - mean)^2) / N, in two passes

use super::prelude::*;
use crate::ops::BatchStats;

pub(crate) fn batch_stats<T: Element>(op: &BatchStats, inputs: &[TensorRef<'_, T>], stats: TensorMut<'_, T>) {
    let x = inputs[0];
    let channels = x.shape.last();
    let part = x.data.len() / op.groups;
    let count = T::of((part / channels) as f64);
    for (x, stats) in x.data.chunks_exact(part).zip(stats.data.chunks_exact_mut(2 * channels)) {
        let (mean, variance) = stats.split_at_mut(channels);
        for c in 0..channels {
            let values = || x.iter().skip(c).step_by(channels);
            let mut sum = T::ZERO;
            values().for_each(|&v| sum += v);
            mean[c] = sum / count;
            let mut squares = T::ZERO;
            values().for_each(|&v| squares += (v - mean[c]) * (v - mean[c]));
            variance[c] = squares / count;
        }
    }
}
