//! The command line: the commands that there are.

use clap::{Parser, Subcommand};

use crate::commands::bench::BenchArgs;
use crate::commands::data::DataCommandArgs;
use crate::commands::evaluate::EvaluateArgs;
use crate::commands::explore::ExploreArgs;
use crate::commands::export::ExportArgs;
use crate::commands::generate::GenerateArgs;
use crate::commands::import::ImportArgs;
use crate::commands::interpolate::InterpolateArgs;
use crate::commands::live::LiveCommandArgs;
use crate::commands::neighbours::NeighboursArgs;
use crate::commands::presets::PresetsArgs;
use crate::commands::project::ProjectArgs;
use crate::commands::report::{CompareArgs, ReportArgs};
use crate::commands::resume::ResumeArgs;
use crate::commands::train::TrainArgs;
use crate::commands::train_classifier::TrainClassifierArgs;
use crate::commands::tune::TuneArgs;
use crate::commands::verify::VerifyArgs;

/// Trains generative adversarial networks on pictures: your own, or handwritten digits.
///
/// Without a subcommand it trains on what it carries with it: 60,000 digits, once, on the CPU, into runs/cdcgan-1.
#[derive(Debug, Parser)]
#[command(name = "gan-mnist", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; nothing means `train`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `train`.
    #[command(flatten)]
    pub train: TrainArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a preset and write a run directory (the default)
    Train(Box<TrainArgs>),
    /// Go on with a run that was interrupted, or make it longer
    Resume(ResumeArgs),
    /// Say what a folder, an archive or a set of images holds, and what training makes of it
    Data(DataCommandArgs),
    /// Show a run in the browser while it goes on, by its files
    Live(LiveCommandArgs),
    /// Draw images from a trained model
    Generate(GenerateArgs),
    /// Look in the browser at what a model has learnt
    Explore(ExploreArgs),
    /// Draw the images between two latents
    Interpolate(InterpolateArgs),
    /// Find the latents that draw pictures as nearly as the model can
    Project(ProjectArgs),
    /// Draw images beside the training images nearest to them
    Neighbours(NeighboursArgs),
    /// Write a model for PyTorch, ONNX or NumPy
    Export(ExportArgs),
    /// Read a model's weights from PyTorch
    Import(ImportArgs),
    /// Score a model's images beside real ones
    Evaluate(EvaluateArgs),
    /// Make a run's report.html anew
    Report(ReportArgs),
    /// Put several runs into one page
    Compare(CompareArgs),
    /// Train the classifier whose features `evaluate` compares
    TrainClassifier(TrainClassifierArgs),
    /// Measure training steps
    Bench(BenchArgs),
    /// List the presets, or print the model file of one
    Presets(PresetsArgs),
    /// List what --device and --adapter can name
    Devices,
    /// Measure which tiles of products are fastest on a GPU, and keep that for later runs
    Tune(TuneArgs),
    /// Check every operation of a GPU against the reference, in training steps
    Verify(VerifyArgs),
}
