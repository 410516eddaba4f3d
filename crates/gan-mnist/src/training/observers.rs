//! The observers of a run.

use gannet_data::DataSet;

use super::losses_csv::LossesCsv;
use super::metrics::Metrics;
use super::observer::Observer;
use super::report_files::ReportFiles;
use super::sample_files::SampleFiles;
use super::tensorboard::TensorBoard;
use crate::error::Result;
use crate::run::{Config, RunDirectory};

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
