//! The processes that MPI started together.

use std::time::{Duration, Instant};

use gannet::collective::Collective;
use gannet::{Error, Result};
use mpi::Threading;
use mpi::datatype::Equivalence;
use mpi::environment::Universe;
use mpi::request::{Request, Scope, scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

/// All processes that `mpirun` or `srun` started together, each a rank.
///
/// Each call waits for the others, at most for a given time: then the rank says on stderr what it waited for and ends the
/// whole job (`MPI_Abort`), for MPI has no way back from a call that others do not answer. That a rank dies MPI notices by
/// itself, and ends the others. A rank that panics ends the job, too.
///
/// One thread makes all calls.
pub struct Mpi {
    world: SimpleCommunicator,
    rank: usize,
    ranks: usize,
    local: (usize, usize),
    timeout: Duration,
    /// MPI ends when this is dropped, after all that uses it.
    #[allow(dead_code)] // it is there to be dropped
    universe: Universe,
}

impl std::fmt::Debug for Mpi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {} by MPI", self.rank, self.ranks)
    }
}

/// The most bytes of one message: MPI counts by 32-bit numbers with a sign.
const MESSAGE: usize = 1 << 30;

/// The first bytes that rank 0 shares go with their number.
const HEAD: usize = 64;

/// Tests of a request that follow one another at once, and how long a rank sleeps between later ones. What a step waits for
/// comes within the first, unless a rank is slower than others.
const SPINS: u32 = 1_000;
const NAP: Duration = Duration::from_micros(20);

/// How long `MPI_Abort` has to end this process, before it does so itself.
const GRACE: Duration = Duration::from_secs(3);

impl Mpi {
    /// Starts MPI, once in a process: by itself a process is the only rank. No call waits longer than `timeout` for other
    /// ranks. Errors when MPI has been started before.
    pub fn start(timeout: Duration) -> Result<Mpi> {
        let again = || Error::Ranks("MPI has been started in this process before".into());
        let (universe, _) = mpi::initialize_with_threading(Threading::Funneled).ok_or_else(again)?;
        let world = universe.world();
        let (rank, ranks) = (world.rank() as usize, world.size() as usize);
        let machine = world.split_shared(world.rank());
        let local = (machine.rank() as usize, machine.size() as usize);
        Ok(Mpi { world, rank, ranks, local, timeout, universe })
    }

    /// The number of this rank among those of the same machine, from 0, and how many these are.
    pub fn local(&self) -> (usize, usize) {
        self.local
    }

    /// Waits until others have done their part of a request.
    fn wait<'a, D: ?Sized, S: Scope<'a>>(&self, mut request: Request<'a, D, S>, what: &str) {
        let (began, mut tests) = (Instant::now(), 0);
        loop {
            request = match request.test() {
                Ok(_) => return,
                Err(request) => request,
            };
            tests += 1;
            if tests < SPINS {
                // Where ranks share a core, the one that is waited for gets it.
                std::thread::yield_now();
                continue;
            }
            if began.elapsed() > self.timeout {
                self.end(&format!(
                    "error: waited {:?} for the other ranks, {what}: one of them hangs or cannot be reached",
                    self.timeout
                ));
            }
            std::thread::sleep(NAP);
        }
    }

    /// Sends and receives bytes, in pieces that MPI can count.
    fn gather_bytes(&self, own: &[u8], all: &mut [u8]) {
        scope(|scope| self.wait(self.world.immediate_all_gather_into(scope, own, all), "for their bytes"));
    }

    /// Ends the job.
    fn end(&self, message: &str) -> ! {
        eprintln!("rank {}: {message}", self.rank);
        // If even that hangs, for it tells the other machines first.
        std::thread::spawn(|| {
            std::thread::sleep(GRACE);
            std::process::exit(1);
        });
        self.world.abort(1)
    }
}

impl<E: Equivalence> Collective<E> for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn all_to_all(&mut self, parts: &[E], received: &mut [E]) -> Result<()> {
        scope(|scope| {
            let request = self.world.immediate_all_to_all_into(scope, parts, received);
            self.wait(request, "for their gradients");
        });
        Ok(())
    }

    fn all_gather(&mut self, own: &[E], all: &mut [E]) -> Result<()> {
        scope(|scope| {
            let request = self.world.immediate_all_gather_into(scope, own, all);
            self.wait(request, "for their parts of a sum");
        });
        Ok(())
    }

    fn share(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        const INLINE: usize = HEAD - 8;
        let root = self.world.process_at_rank(0);
        let mut head = [0; HEAD];
        if self.rank == 0 {
            head[..8].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            let first = bytes.len().min(INLINE);
            head[8..8 + first].copy_from_slice(&bytes[..first]);
        }
        let what = "for what rank 0 does next";
        scope(|scope| self.wait(root.immediate_broadcast_into(scope, &mut head[..]), what));
        let mut length = [0; 8];
        length.copy_from_slice(&head[..8]);
        let length = u64::from_le_bytes(length) as usize;
        let mut all = match self.rank {
            0 => bytes,
            _ => vec![0; length],
        };
        let (first, rest) = all.split_at_mut(length.min(INLINE));
        first.copy_from_slice(&head[8..8 + first.len()]);
        for part in rest.chunks_mut(MESSAGE) {
            scope(|scope| self.wait(root.immediate_broadcast_into(scope, part), what));
        }
        Ok(all)
    }

    fn gather(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut lengths = vec![0; 8 * self.ranks];
        self.gather_bytes(&(bytes.len() as u64).to_le_bytes(), &mut lengths);
        let lengths: Vec<usize> = lengths
            .chunks_exact(8)
            .map(|length| length.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
            .collect();
        let longest = lengths.iter().copied().max().unwrap_or_default();
        if longest > MESSAGE / self.ranks {
            return Err(Error::Ranks(format!("{longest} bytes are too many to gather from each rank")));
        }
        if longest == 0 {
            return Ok(vec![Vec::new(); self.ranks]);
        }
        let mut own = bytes.to_vec();
        own.resize(longest, 0);
        let mut all = vec![0; longest * self.ranks];
        self.gather_bytes(&own, &mut all);
        Ok(all.chunks_exact(longest).zip(lengths).map(|(all, length)| all[..length].to_vec()).collect())
    }

    fn abort(&mut self, message: &str) {
        self.end(message);
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end("error: it has panicked");
        }
    }
}
