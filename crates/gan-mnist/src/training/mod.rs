//! Training a run: the loop, what looks on, what is kept on the disk meanwhile.
//!
//! A [`Session`] owns a GAN, its batches and its run directory, and trains until the run ends. Everything else that
//! happens meanwhile (losses.csv, sample grids, metrics, warnings) is an [`Observer`]: adding one means a file beside
//! this one and a line in [`observers`].

pub mod checkpoint;
mod diversity;
mod every;
mod fault;
mod interrupt;
mod log;
mod losses_csv;
mod metrics;
mod observer;
mod report_files;
mod sample_files;
mod sampler;
mod session;
mod tensorboard;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

pub use every::Every;
pub use interrupt::Interrupt;
pub use log::Log;
pub use losses_csv::LossesCsv;
pub use metrics::{Metrics, MetricsArgs, MetricsSettings, OnCollapse};
pub use observer::{End, Next, Observer, Outcome, Samples, Step, Trained};
pub use report_files::ReportFiles;
pub use sample_files::SampleFiles;
pub use sampler::{SAMPLES, Sampler, classes_in_turn, columns, image_shape};
pub use session::{Parts, Session};
pub use tensorboard::{EVENTS, TensorBoard};
pub use watch::Watch;

use gannet_data::DataSet;

use crate::error::Result;
use crate::run_directory::{Config, RunDirectory};

/// What looks on at every run, in the order in which it is told.
pub fn observers(
    run: &RunDirectory,
    settings: &Config,
    data: &DataSet,
    conditional: bool,
    quiet: bool,
) -> Result<Vec<Box<dyn Observer>>> {
    Ok(vec![
        Box::new(LossesCsv::new(run)),
        Box::new(SampleFiles::new(run)),
        Box::new(Metrics::new(run, settings, data, conditional, quiet)?),
        // After metrics.jsonl, whose lines it takes.
        Box::new(TensorBoard::new(run)),
        // Last: it reads what the others have written.
        Box::new(ReportFiles::new(run)),
    ])
}
