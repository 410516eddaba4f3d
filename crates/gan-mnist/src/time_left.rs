//! How long a run will still take.

use std::collections::VecDeque;
use std::time::Duration;

/// As many steps as the estimate looks back on.
const RECENT: usize = 101;

/// The median of the last durations. Unlike a mean it does not mind the step that the system spent
/// elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    durations: VecDeque<Duration>,
}

impl Recent {
    /// Adds a duration and forgets the oldest.
    pub fn push(&mut self, duration: Duration) {
        if self.durations.len() == RECENT {
            self.durations.pop_front();
        }
        self.durations.push_back(duration);
    }

    /// The median; `None` before the first.
    pub fn median(&self) -> Option<Duration> {
        let mut sorted: Vec<_> = self.durations.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

/// An estimate from what steps and samplings have taken so far.
#[derive(Debug, Clone, Default)]
pub struct TimeLeft {
    /// Training steps.
    pub steps: Recent,
    /// Sample grids.
    pub samples: Recent,
}

impl TimeLeft {
    /// The time for `steps` more steps and `samples` more sample grids; `None` before the first step. Before
    /// the first grid, grids count as nothing.
    pub fn estimate(&self, steps: u64, samples: u64) -> Option<Duration> {
        let all = |each: Duration, count: u64| Duration::from_secs_f64(each.as_secs_f64() * count as f64);
        let sample = self.samples.median().unwrap_or_default();
        Some(all(self.steps.median()?, steps) + all(sample, samples))
    }

    /// Steps per second; `None` before the first step.
    pub fn steps_per_second(&self) -> Option<f64> {
        let step = self.steps.median()?.as_secs_f64();
        (step > 0.0).then(|| 1.0 / step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_step_does_not_move_the_estimate() {
        let mut left = TimeLeft::default();
        assert_eq!(left.estimate(10, 0), None);
        for millis in [100, 100, 9000, 100, 100] {
            left.steps.push(Duration::from_millis(millis));
        }
        assert_eq!(left.estimate(10, 5), Some(Duration::from_secs(1)));
        left.samples.push(Duration::from_millis(500));
        assert_eq!(left.estimate(10, 2), Some(Duration::from_secs(2)));
        assert_eq!(left.steps_per_second(), Some(10.0));
    }

    #[test]
    fn old_durations_are_forgotten() {
        let mut recent = Recent::default();
        (0..RECENT).for_each(|_| recent.push(Duration::from_secs(9)));
        (0..RECENT).for_each(|_| recent.push(Duration::from_secs(1)));
        assert_eq!(recent.median(), Some(Duration::from_secs(1)));
    }
}
