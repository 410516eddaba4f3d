//! What a run leaves behind: its directory and the files in it. Nothing here trains.

mod checkpoint;
mod config;
mod directory;
mod disk;
mod log;
mod losses_file;
pub mod metrics_file;
mod metrics_settings;
mod sample_grids;
mod scores;

pub use checkpoint::{Checkpoint, Checkpoints, State};
pub use config::{CONFIG, Change, Config, data_of_run};
pub use directory::{BEST, CLASSIFIER, EVENTS, MODEL, REAL, RunDirectory, run_of};
#[cfg(test)]
pub(crate) use disk::faulty;
pub use disk::{Disk, Os, write_durably};
pub use log::Log;
pub use losses_file::{LOSSES, read_losses};
pub use metrics_settings::{MetricsSettings, OnCollapse};
pub use sample_grids::{SAMPLES, sample_grid_name, sample_grids};
pub use scores::{
    EVALUATION, Evaluation, FeaturesUsed, MemorisationScores, ScaleScore, Scores, TrainedOn, percent,
    read_evaluation,
};
