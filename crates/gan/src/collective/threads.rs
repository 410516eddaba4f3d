//! Ranks that are threads of one process.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Collective;
use crate::error::{Error, Result};

/// A rank that is a thread of this process: for tests, and for devices of one machine. One that panics ends the work of all.
#[derive(Debug)]
pub struct Threads<E> {
    rank: usize,
    ranks: usize,
    timeout: Duration,
    place: Arc<Place<E>>,
}

/// Where ranks meet.
#[derive(Debug)]
struct Place<E> {
    meeting: Mutex<Meeting<E>>,
    changed: Condvar,
}

/// What each rank brings to a meeting, and takes away from it.
#[derive(Debug)]
struct Meeting<E> {
    /// What ranks have brought that wait for others.
    brought: Vec<Option<Parcel<E>>>,
    /// What all have brought, until each has taken it.
    complete: Option<Arc<Vec<Parcel<E>>>>,
    taken: usize,
    /// Why there are no more meetings.
    failure: Option<String>,
}

#[derive(Debug)]
enum Parcel<E> {
    Numbers(Vec<E>),
    Bytes(Vec<u8>),
}

impl<E> Parcel<E> {
    fn numbers(&self) -> Result<&[E]> {
        match self {
            Parcel::Numbers(numbers) => Ok(numbers),
            Parcel::Bytes(_) => Err(out_of_step()),
        }
    }

    fn bytes(&self) -> Result<&[u8]> {
        match self {
            Parcel::Bytes(bytes) => Ok(bytes),
            Parcel::Numbers(_) => Err(out_of_step()),
        }
    }
}

fn out_of_step() -> Error {
    Error::Ranks("the ranks do different things: each has to call the same methods in the same order".into())
}

impl<E> Threads<E> {
    /// So many ranks, each for a thread of its own; none waits longer than `timeout` for the others.
    ///
    /// # Panics
    /// If there are to be none.
    pub fn new(ranks: usize, timeout: Duration) -> Vec<Threads<E>> {
        assert!(ranks > 0, "there is at least one rank");
        let brought = (0..ranks).map(|_| None).collect();
        let meeting = Meeting { brought, complete: None, taken: 0, failure: None };
        let place = Arc::new(Place { meeting: Mutex::new(meeting), changed: Condvar::new() });
        (0..ranks).map(|rank| Threads { rank, ranks, timeout, place: place.clone() }).collect()
    }

    /// What all ranks bring.
    fn meet(&self, parcel: Parcel<E>) -> Result<Arc<Vec<Parcel<E>>>> {
        let deadline = Instant::now() + self.timeout;
        // The others take what the meeting before came to.
        let mut meeting = self.wait(deadline, |meeting| meeting.complete.is_none())?;
        meeting.brought[self.rank] = Some(parcel);
        if meeting.brought.iter().all(Option::is_some) {
            let all = meeting.brought.iter_mut().filter_map(Option::take).collect();
            meeting.complete = Some(Arc::new(all));
            self.place.changed.notify_all();
        }
        drop(meeting);
        let mut meeting = self.wait(deadline, |meeting| meeting.complete.is_some())?;
        let all = meeting.complete.clone().ok_or_else(out_of_step)?;
        meeting.taken += 1;
        if meeting.taken == self.ranks {
            (meeting.complete, meeting.taken) = (None, 0);
            self.place.changed.notify_all();
        }
        Ok(all)
    }

    /// Waits until the meeting is such.
    fn wait(
        &self,
        deadline: Instant,
        is_such: impl Fn(&Meeting<E>) -> bool,
    ) -> Result<MutexGuard<'_, Meeting<E>>> {
        let mut meeting = self.lock();
        loop {
            if let Some(failure) = &meeting.failure {
                return Err(Error::Ranks(failure.clone()));
            }
            if is_such(&meeting) {
                return Ok(meeting);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let missing = |(rank, parcel): (usize, &Option<Parcel<E>>)| parcel.is_none().then_some(rank);
                let missing: Vec<usize> = meeting.brought.iter().enumerate().filter_map(missing).collect();
                let failure = format!(
                    "rank {} has waited {:?} for the others, and nothing came from {missing:?}",
                    self.rank, self.timeout
                );
                meeting.failure = Some(failure);
                self.place.changed.notify_all();
                continue;
            }
            let waited = self.place.changed.wait_timeout(meeting, left);
            meeting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Meeting<E>> {
        // What it holds is whole whatever a thread was doing.
        self.place.meeting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, message: String) {
        self.lock().failure.get_or_insert(message);
        self.place.changed.notify_all();
    }
}

impl<E: Copy> Collective<E> for Threads<E> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn all_to_all(&mut self, parts: &[E], received: &mut [E]) -> Result<()> {
        let all = self.meet(Parcel::Numbers(parts.to_vec()))?;
        let part = parts.len() / self.ranks;
        for (parcel, received) in all.iter().zip(received.chunks_exact_mut(part.max(1))) {
            received.copy_from_slice(&parcel.numbers()?[self.rank * part..][..part]);
        }
        Ok(())
    }

    fn all_gather(&mut self, own: &[E], all: &mut [E]) -> Result<()> {
        let parcels = self.meet(Parcel::Numbers(own.to_vec()))?;
        for (parcel, all) in parcels.iter().zip(all.chunks_exact_mut(own.len().max(1))) {
            all.copy_from_slice(parcel.numbers()?);
        }
        Ok(())
    }

    fn share(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let bytes = if self.rank == 0 { bytes } else { Vec::new() };
        Ok(self.meet(Parcel::Bytes(bytes))?[0].bytes()?.to_vec())
    }

    fn gather(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        let all = self.meet(Parcel::Bytes(bytes.to_vec()))?;
        all.iter().map(|parcel| Ok(parcel.bytes()?.to_vec())).collect()
    }

    fn abort(&mut self, message: &str) {
        self.fail(format!("rank {}: {message}", self.rank));
    }
}

impl<E> Drop for Threads<E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail(format!("rank {} has panicked", self.rank));
        }
    }
}
