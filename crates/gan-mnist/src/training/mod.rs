//! Training a run: the loop, what looks on, what is kept on the disk meanwhile.
//!
//! A [`Session`] owns a GAN, its batches and its run directory, and trains until the run ends. Everything else that
//! happens meanwhile (losses.csv, sample grids, metrics, warnings) is an [`Observer`]: adding one means a file beside
//! this one and a line in [`observers()`].

mod chosen;
mod diversity;
mod fault;
mod follower;
mod interrupt;
mod losses_csv;
mod metrics;
mod observer;
mod observers;
mod pace;
mod real_grid;
mod report_files;
mod sample_files;
mod sampler;
mod session;
mod tensorboard;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

pub use chosen::{choose, longest_side, open, steps_in};
pub use follower::follow;
pub use interrupt::Interrupt;
pub use losses_csv::LossesCsv;
pub use metrics::Metrics;
pub use observer::{End, Next, Observer, Outcome, Samples, Step, Trained};
pub use observers::observers;
pub use pace::Pace;
pub use real_grid::real_grid;
pub use report_files::ReportFiles;
pub use sample_files::SampleFiles;
pub use sampler::{Sampler, classes_in_turn, columns, image_shape, samples_of};
pub use session::{Session, Setup};
pub use tensorboard::TensorBoard;
pub use watch::Watch;
