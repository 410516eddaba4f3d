//! Ranks that take the steps of one run together: processes on many machines, or threads of one.
//!
//! What ranks do for one another is behind [`Collective`], which only moves numbers and bytes; what is added, and in which
//! order, is decided here, once for all of them. [`Gan::train_step_among`](crate::Gan::train_step_among) shares the
//! micro-batches of a step: each rank computes the gradients of some, all add them in the order of the micro-batches, and
//! all update their own copy of the model by the same sum. So the same bytes come out whatever the number of ranks is.
//!
//! ```
//! use std::thread;
//! use std::time::Duration;
//! use gannet::collective::Threads;
//! use gannet::layers::Dense;
//! use gannet::{Gan, GanConfig, MicroBatches, BatchRef, Reference, Sequential};
//!
//! struct Data(Vec<f32>);
//!
//! impl MicroBatches<f32> for Data {
//!     type Error = gannet::Error;
//!
//!     fn micro_batch(&mut self, number: u64) -> gannet::Result<BatchRef<'_, f32>> {
//!         self.0 = vec![number as f32 / 10.0; 2 * 2];
//!         Ok(((&self.0).into(), None))
//!     }
//! }
//!
//! let config = || {
//!     let generator = Sequential::new("generator", [2]).add(Dense::new(2));
//!     let critic = Sequential::new("discriminator", [2]).add(Dense::new(1));
//!     GanConfig::new(generator, critic).batch_size(2).accumulate(4)
//! };
//! let mut alone = Gan::new(&Reference::<f32>::new(), config())?;
//! alone.train_step_by(&mut Data(Vec::new()))?;
//!
//! let ranks = Threads::new(2, Duration::from_secs(60));
//! let threads = ranks.into_iter().map(|mut rank| thread::spawn(move || {
//!     let mut gan = Gan::new(&Reference::<f32>::new(), config())?;
//!     gan.train_step_among(&mut rank, &mut Data(Vec::new()))?;
//!     gan.to_file()
//! }));
//! for thread in threads.collect::<Vec<_>>() {
//!     assert_eq!(thread.join().unwrap()?, alone.to_file()?);
//! }
//! # Ok::<(), gannet::Error>(())
//! ```

mod alone;
mod threads;

pub use alone::Alone;
pub use threads::Threads;

use crate::error::Result;

/// What the ranks of a run do for one another. Every rank calls the same methods in the same order, with lengths that fit
/// together; each call waits for the others.
///
/// A rank that cannot go on says so by [`abort`](Collective::abort), for the others wait for it. An implementation waits for
/// a stated time at most: that a machine is gone, or the way to it, ends in an error, or in the end of the process where the
/// calls below cannot be taken back.
///
/// Numbers arrive as they were sent, bit for bit. Nothing here adds any.
pub trait Collective<E> {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// How many ranks there are, at least 1.
    fn ranks(&self) -> usize;

    /// Sends the r-th of the equal parts of `parts`, one for each rank, to rank r. `received`, of the same length, is what the
    /// ranks have sent to this one, in their order. Errors when a rank is not heard from.
    fn all_to_all(&mut self, parts: &[E], received: &mut [E]) -> Result<()>;

    /// Sends `own`, of the same length on every rank, to all. `all` is what the ranks have sent, in their order. Errors when a
    /// rank is not heard from.
    fn all_gather(&mut self, own: &[E], all: &mut [E]) -> Result<()>;

    /// The bytes of rank 0, whatever the others give. Errors when rank 0 is not heard from.
    fn share(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>>;

    /// The bytes of all ranks, in their order; each may send another number of them, few. Errors when a rank is not heard from.
    fn gather(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>>;

    /// Ends the work of all ranks, which end with an error, because this one cannot go on; `message` says why. May end the
    /// process.
    fn abort(&mut self, message: &str);
}
