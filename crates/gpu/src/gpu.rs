//! The ground of a device: its handles, its counters, the errors that it reports, and the runs in its queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gannet_tensor::{Error, Result};

/// Runs that may wait in the device's queue, of all programs together: a training loop that takes losses a few steps
/// late then finds them there. More would not make the device faster, only the host's lead longer.
pub(crate) const QUEUED_RUNS: usize = 3;

/// The counters as they are counted, and the memory that allocation may take.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) buffers: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) pipelines: AtomicU64,
    pub(crate) bind_groups: AtomicU64,
    pub(crate) submissions: AtomicU64,
    pub(crate) dispatches: AtomicU64,
    pub(crate) queued: AtomicU64,
    pub(crate) waits: AtomicU64,
    /// In nanoseconds, as the next two.
    pub(crate) writing: AtomicU64,
    pub(crate) recording: AtomicU64,
    pub(crate) submitting: AtomicU64,
    pub(crate) budget: AtomicU64,
}

impl Tally {
    /// Adds what it took since `began` to a sum of nanoseconds.
    pub(crate) fn add(sum: &AtomicU64, began: Instant) {
        sum.fetch_add(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

/// What the callbacks of the device have reported.
#[derive(Default)]
pub(crate) struct Trouble {
    pub(crate) lost: Option<String>,
    pub(crate) error: Option<String>,
}

/// What every part of a device works with: the handles, its limits, its counters, and what it has reported.
pub(crate) struct Gpu {
    pub(crate) info: wgpu::AdapterInfo,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) limits: wgpu::Limits,
    pub(crate) checked: bool,
    pub(crate) tally: Arc<Tally>,
    pub(crate) trouble: Arc<Mutex<Trouble>>,
    pub(crate) runs: Mutex<VecDeque<wgpu::SubmissionIndex>>,
}

impl Gpu {
    /// Errors if the device is lost or has reported an error since the last check.
    pub(crate) fn check(&self) -> Result<()> {
        let mut trouble = self.trouble.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(reason) = &trouble.lost {
            return Err(Error::new(format!(
                "the GPU {} was lost ({reason}): what was saved is safe; start again, on another device if it \
                 happens again",
                self.info.name
            )));
        }
        match trouble.error.take() {
            Some(error) => Err(Error::new(format!(
                "the GPU {} reported an error: {error}; what was saved is safe: start again, with a newer driver or on \
                 another device if it happens again",
                self.info.name
            ))),
            None => Ok(()),
        }
    }

    /// Submits what was recorded.
    pub(crate) fn submit(&self, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        self.hand_over(encoder.finish())
    }

    fn hand_over(&self, commands: wgpu::CommandBuffer) -> wgpu::SubmissionIndex {
        self.tally.submissions.fetch_add(1, Relaxed);
        self.queue.submit([commands])
    }

    /// [`submit`](Gpu::submit) of a run whose recording began at `began`, and counts what recording and submitting took.
    pub(crate) fn submit_run(&self, encoder: wgpu::CommandEncoder, began: Instant) -> wgpu::SubmissionIndex {
        // What was recorded is checked and translated as it is finished.
        let commands = encoder.finish();
        Tally::add(&self.tally.recording, began);
        let recorded = Instant::now();
        let submission = self.hand_over(commands);
        Tally::add(&self.tally.submitting, recorded);
        submission
    }

    /// Notes a run that was submitted, and waits for an earlier one if too many are in the queue.
    pub(crate) fn enqueue(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        let oldest = {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            runs.push_back(submission);
            let oldest = if runs.len() > QUEUED_RUNS { runs.pop_front() } else { None };
            self.tally.queued.store(runs.len() as u64, Relaxed);
            oldest
        };
        oldest.map_or(Ok(()), |oldest| self.wait(oldest))
    }

    /// Notes that everything submitted is finished.
    pub(crate) fn queue_is_done(&self) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.tally.queued.store(0, Relaxed);
    }

    /// Blocks until `submission` has finished.
    pub(crate) fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        let waited = self.device.poll(wait);
        self.check()?;
        waited
            .map(|_| ())
            .map_err(|error| Error::new(format!("waiting for the GPU {}: {error}", self.info.name)))
    }

    /// Lets the device call back for what has finished, without waiting.
    pub(crate) fn poll(&self) -> Result<()> {
        // What is wrong with the device shows in the check.
        let _ = self.device.poll(wgpu::PollType::Poll);
        self.check()
    }
}
