//! How long a run will still take.

use std::collections::VecDeque;
use std::time::Duration;

use crate::arguments::Every;

/// As many steps as the estimate looks back on.
const RECENT: usize = 101;

/// The median of the last durations. Unlike a mean it does not mind the step that the system spent
/// elsewhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    durations: VecDeque<Duration>,
}

impl Recent {
    /// Adds a duration and forgets the oldest.
    pub(super) fn push(&mut self, duration: Duration) {
        if self.durations.len() == RECENT {
            self.durations.pop_front();
        }
        self.durations.push_back(duration);
    }

    /// The median; `None` before the first.
    pub(super) fn median(&self) -> Option<Duration> {
        let mut sorted: Vec<_> = self.durations.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

/// Something that is done now and then, and once more at the end of the run.
#[derive(Debug, Clone)]
struct Work {
    every: Every,
    durations: Recent,
}

/// An estimate from what steps and the work between them have taken so far.
#[derive(Debug, Clone, Default)]
pub(super) struct TimeLeft {
    /// Training steps.
    pub(super) steps: Recent,
    works: Vec<Work>,
}

impl TimeLeft {
    /// Work that is done every so often took this long. Work of the same kind and rhythm is one.
    pub(super) fn worked(&mut self, every: Every, kind: usize, duration: Duration) {
        if self.works.len() <= kind {
            self.works.resize_with(kind + 1, || Work { every, durations: Recent::default() });
        }
        let work = &mut self.works[kind];
        work.every = every;
        work.durations.push(duration);
    }

    /// The time for the steps from `step` to `total` and what is done between them; `None` before the first step. Work
    /// that was not yet done once counts as nothing.
    pub(super) fn estimate(&self, step: u64, total: u64) -> Option<Duration> {
        let mut seconds = self.steps.median()?.as_secs_f64() * (total - step) as f64;
        let works = self.works.iter().filter_map(|work| Some((work.every, work.durations.median()?)));
        let works: Vec<(Every, f64)> = works.map(|(every, each)| (every, each.as_secs_f64())).collect();
        for (every, each) in &works {
            if let Every::Steps(every) = every {
                seconds += each * (total.div_ceil(*every) - step / every) as f64;
            }
        }
        for (every, each) in &works {
            if let Every::Time(every) = every {
                seconds += each * ((seconds / every.as_secs_f64()).floor() + 1.0);
            }
        }
        Some(Duration::from_secs_f64(seconds))
    }

    /// Steps per second; `None` before the first step.
    pub(super) fn steps_per_second(&self) -> Option<f64> {
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
        assert_eq!(left.estimate(0, 10), None);
        for millis in [100, 100, 9000, 100, 100] {
            left.steps.push(Duration::from_millis(millis));
        }
        assert_eq!(left.estimate(0, 10), Some(Duration::from_secs(1)));
        assert_eq!(left.steps_per_second(), Some(10.0));
    }

    #[test]
    fn what_is_done_between_steps_is_counted() {
        let mut left = TimeLeft::default();
        left.steps.push(Duration::from_millis(100));
        // Grids after steps 30, 60, 90 and 100; the one after 30 is done.
        left.worked(Every::Steps(30), 0, Duration::from_secs(2));
        assert_eq!(left.estimate(40, 100), Some(Duration::from_secs(6 + 3 * 2)));
        // Twelve seconds in which there are two checkpoints, and the last.
        left.worked(Every::Time(Duration::from_secs(5)), 2, Duration::from_secs(1));
        assert_eq!(left.estimate(40, 100), Some(Duration::from_secs(12 + 3)));
        // The last of both comes after the last step.
        assert_eq!(left.estimate(100, 100), Some(Duration::from_secs(3)));
    }

    #[test]
    fn old_durations_are_forgotten() {
        let mut recent = Recent::default();
        (0..RECENT).for_each(|_| recent.push(Duration::from_secs(9)));
        (0..RECENT).for_each(|_| recent.push(Duration::from_secs(1)));
        assert_eq!(recent.median(), Some(Duration::from_secs(1)));
    }
}
