//! The way to the other ranks.

use std::time::{Duration, Instant};

use gannet::collective::{Alone, Collective};

use super::control::Control;
use crate::error::{Error, Result};

/// The way to the other ranks, which keeps account of itself.
pub struct Link {
    collective: Box<dyn Collective<f32>>,
    /// The number of this rank on its machine, and how many there are on it.
    pub(super) local: (usize, usize),
    pub(super) mixed: bool,
    /// Whether the others are in a step, and wait for more of it.
    pub(super) in_step: bool,
    /// How long gradients were under way, and how many bytes went from here to others.
    pub(super) spent: Duration,
    pub(super) sent: u64,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.ranks())
    }
}

impl Default for Link {
    fn default() -> Self {
        Link::new(Box::new(Alone), (0, 1), false)
    }
}

impl Link {
    /// By these means. `local` is the number of this rank on its machine, and how many there are on it; with `mixed`, devices
    /// may differ.
    pub fn new(collective: Box<dyn Collective<f32>>, local: (usize, usize), mixed: bool) -> Self {
        Link { collective, local, mixed, in_step: false, spent: Duration::ZERO, sent: 0 }
    }

    /// Tells the others what comes next; rank 0 does.
    pub fn tell(&mut self, control: &Control) -> Result<()> {
        self.share(serde_json::to_vec(control).map_err(Error::failure)?)?;
        Ok(())
    }

    /// What rank 0 says comes next.
    pub fn hear(&mut self) -> Result<Control> {
        let bytes = self.share(Vec::new())?;
        serde_json::from_slice(&bytes).map_err(|_| {
            Error::failure("rank 0 said something unknown: all ranks have to be the same program")
        })
    }

    fn account<T>(&mut self, sent: usize, act: impl FnOnce(&mut dyn Collective<f32>) -> T) -> T {
        let began = Instant::now();
        let result = act(&mut *self.collective);
        self.spent += began.elapsed();
        self.sent += size_of::<f32>() as u64 * sent as u64;
        result
    }
}

impl Collective<f32> for Link {
    fn rank(&self) -> usize {
        self.collective.rank()
    }

    fn ranks(&self) -> usize {
        self.collective.ranks()
    }

    fn all_to_all(&mut self, parts: &[f32], received: &mut [f32]) -> gannet::Result<()> {
        let ranks = self.ranks();
        self.account(parts.len() / ranks * (ranks - 1), |collective| collective.all_to_all(parts, received))
    }

    fn all_gather(&mut self, own: &[f32], all: &mut [f32]) -> gannet::Result<()> {
        let others = self.ranks() - 1;
        self.account(own.len() * others, |collective| collective.all_gather(own, all))
    }

    fn share(&mut self, bytes: Vec<u8>) -> gannet::Result<Vec<u8>> {
        self.collective.share(bytes)
    }

    fn gather(&mut self, bytes: &[u8]) -> gannet::Result<Vec<Vec<u8>>> {
        self.collective.gather(bytes)
    }

    fn abort(&mut self, message: &str) {
        self.collective.abort(message);
    }
}
