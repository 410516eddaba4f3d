//! The losses of training steps, on their way from the device to whoever trains.

use std::collections::VecDeque;

use crate::error::{Error, Result};

/// Steps that may be taken before the losses of a step are waited for. A GPU has the next steps in its queue
/// meanwhile, so that neither it nor the host waits for the other.
pub const LATE_LOSSES: usize = 4;

/// The losses of a training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    /// The discriminator's loss on real images.
    pub d_real: f64,
    /// The discriminator's loss on generated images.
    pub d_fake: f64,
    /// The generator's loss.
    pub g: f64,
}

/// The losses of a training step, and which step it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepLosses {
    /// The number of the step, counted from 1: what [`Gan::step`](crate::Gan::step) was after it.
    pub step: u64,
    /// Its losses; the generator's are those of its last update.
    pub losses: Losses,
}

impl StepLosses {
    /// Itself, or the error that training has diverged.
    fn checked(self) -> Result<StepLosses> {
        let StepLosses { step, losses: Losses { d_real, d_fake, g } } = self;
        if [d_real, d_fake, g].iter().all(|x| x.is_finite()) {
            return Ok(self);
        }
        Err(Error::Diverged(format!(
            "after step {step} the losses are d_real {d_real}, d_fake {d_fake}, g {g}; a smaller \
             learning rate may help"
        )))
    }
}

/// A step whose losses the device still has.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) step: u64,
    /// The program that took it.
    pub(crate) program: usize,
    /// Whether the generator was updated.
    pub(crate) generator: bool,
}

/// Losses in the order of their steps: first on the device, then here until they are taken. Those that nobody takes
/// make room for later ones.
#[derive(Default)]
pub(crate) struct LossQueue {
    expected: VecDeque<Expected>,
    arrived: VecDeque<StepLosses>,
    last: Option<StepLosses>,
    /// The first that were no finite numbers and made room before they were taken.
    diverged: Option<StepLosses>,
    generator: Option<f64>,
}

impl LossQueue {
    /// Those of a run that was saved, whose generator had this loss in its last update.
    pub(crate) fn going_on(generator: Option<f64>) -> LossQueue {
        LossQueue { generator, ..LossQueue::default() }
    }

    pub(crate) fn expect(&mut self, step: Expected) {
        self.expected.push_back(step);
    }

    /// The oldest step whose losses the device has.
    pub(crate) fn next_expected(&self) -> Option<Expected> {
        self.expected.front().copied()
    }

    /// How many steps' losses the device has.
    pub(crate) fn under_way(&self) -> usize {
        self.expected.len()
    }

    /// Takes over what the device has computed for the oldest step: the losses on real and on generated images, and
    /// the generator's where it was updated.
    pub(crate) fn arrive(&mut self, values: &[f64]) {
        let Some(Expected { step, generator, .. }) = self.expected.pop_front() else { return };
        if generator {
            self.generator = values.get(2).copied();
        }
        let losses = Losses { d_real: values[0], d_fake: values[1], g: self.generator.unwrap_or_default() };
        let losses = StepLosses { step, losses };
        if self.arrived.len() > LATE_LOSSES
            && let Some(oldest) = self.arrived.pop_front()
            && oldest.checked().is_err()
        {
            self.diverged.get_or_insert(oldest);
        }
        self.last = Some(losses);
        self.arrived.push_back(losses);
    }

    /// The oldest losses that have arrived. Errors, and goes on to later ones, when they are no finite numbers.
    pub(crate) fn take(&mut self) -> Result<Option<StepLosses>> {
        match self.diverged.take().or_else(|| self.arrived.pop_front()) {
            Some(losses) => losses.checked().map(Some),
            None => Ok(None),
        }
    }

    /// The latest losses that have arrived; they stay to be taken. Errors when a step's that have not been taken are no
    /// finite numbers, and forgets those.
    pub(crate) fn last(&mut self) -> Result<Option<StepLosses>> {
        let first = self.diverged.take().or_else(|| {
            let position = self.arrived.iter().position(|losses| losses.checked().is_err())?;
            self.arrived.drain(..=position).next_back()
        });
        match first.or(self.last) {
            Some(losses) => losses.checked().map(Some),
            None => Ok(None),
        }
    }

    /// The loss of the generator's last update that has arrived, if it had one.
    pub(crate) fn generator(&self) -> Option<f64> {
        self.generator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(queue: &mut LossQueue, step: u64, values: &[f64]) {
        queue.expect(Expected { step, program: 0, generator: values.len() > 2 });
        queue.arrive(values);
    }

    #[test]
    fn losses_are_taken_in_order_and_the_generators_are_those_of_its_last_update() {
        let mut queue = LossQueue::going_on(Some(9.0));
        step(&mut queue, 5, &[1.0, 2.0]);
        step(&mut queue, 6, &[3.0, 4.0, 5.0]);
        step(&mut queue, 7, &[6.0, 7.0]);
        let found: Vec<[f64; 4]> = std::iter::from_fn(|| queue.take().unwrap())
            .map(|l| [l.step as f64, l.losses.d_real, l.losses.d_fake, l.losses.g])
            .collect();
        assert_eq!(found, [[5.0, 1.0, 2.0, 9.0], [6.0, 3.0, 4.0, 5.0], [7.0, 6.0, 7.0, 5.0]]);
        assert_eq!(queue.last().unwrap().map(|l| l.step), Some(7));
    }

    #[test]
    fn losses_that_nobody_takes_make_room_and_divergence_is_still_told_with_its_step() {
        let mut queue = LossQueue::default();
        assert_eq!(queue.last().unwrap(), None);
        for number in 1..=100 {
            let d_real = if number == 3 { f64::NAN } else { 1.0 };
            step(&mut queue, number, &[d_real, 1.0, 1.0]);
        }
        assert!(queue.arrived.len() <= LATE_LOSSES + 1);
        let error = queue.last().unwrap_err().to_string();
        assert!(error.contains("after step 3 ") && error.contains("NaN"), "{error}");
        assert_eq!(queue.last().unwrap().map(|l| l.step), Some(100), "it is told once");
        assert_eq!(queue.take().unwrap().map(|l| l.step), Some(96));
    }

    #[test]
    fn divergence_is_told_by_whichever_asks_first() {
        let mut queue = LossQueue::default();
        step(&mut queue, 1, &[1.0, 1.0, 1.0]);
        step(&mut queue, 2, &[1.0, f64::INFINITY, 1.0]);
        step(&mut queue, 3, &[1.0, 1.0, f64::NAN]);
        assert!(queue.last().unwrap_err().to_string().contains("after step 2 "));
        assert!(queue.take().unwrap_err().to_string().contains("after step 3 "));
        assert!(
            queue.last().unwrap_err().to_string().contains("after step 3 "),
            "the last losses are no better"
        );
    }
}
