//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use gannet::presets;

use crate::commands::export::ExportArgs;
use crate::commands::import::ImportArgs;
use crate::commands::interpolate::InterpolateArgs;
use crate::commands::neighbours::NeighboursArgs;
use crate::commands::presets::PresetsArgs;
use crate::commands::report::{CompareArgs, ReportArgs};
use crate::commands::resume::ResumeArgs;
use crate::data::DataArgs;
use crate::training::{Every, MetricsArgs};

/// What is trained without --preset.
const DEFAULT_PRESET: &str = "cdcgan";

/// Trains generative adversarial networks on handwritten digits.
///
/// Without a subcommand it trains: 60,000 digits, once, on the CPU, into runs/cdcgan-1.
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
    Train(TrainArgs),
    /// Go on with a run that was interrupted, or make it longer
    Resume(ResumeArgs),
    /// Draw images from a trained model
    Generate(GenerateArgs),
    /// Draw the images between two latents
    Interpolate(InterpolateArgs),
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
    /// Check every operation of a GPU against the reference, in training steps
    Verify(VerifyArgs),
}

/// Where the numbers are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceChoice {
    /// A GPU where there is one, otherwise the CPU
    Auto,
    /// The CPU, with all its instructions and threads
    Cpu,
    /// A GPU, through Vulkan, Metal or DirectX 12
    Gpu,
    /// Plain loops on one thread, to compare with
    Reference,
}

/// The flags that choose a device.
#[derive(Debug, Clone, Args)]
pub struct DeviceArgs {
    /// Where to compute
    #[arg(long, value_name = "DEVICE", default_value = "auto", ignore_case = true)]
    pub device: DeviceChoice,
    /// Threads of the CPU device [default: one per core]
    #[arg(long, value_name = "T", value_parser = whole_number(1, 1024), allow_negative_numbers = true)]
    pub threads: Option<u64>,
    /// Which GPU: its number in `devices`, or part of its name [default: the first that is no software]
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
}

/// The flags of `train`.
#[derive(Debug, Clone, Args)]
pub struct TrainArgs {
    /// What to train
    #[arg(long, value_name = "PRESET", default_value = DEFAULT_PRESET, value_parser = PossibleValuesParser::new(presets::names()))]
    pub preset: String,
    /// What to train instead: a model file, such as `presets NAME` prints
    #[arg(long, value_name = "FILE.toml", conflicts_with = "preset")]
    pub model: Option<PathBuf>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub data: DataArgs,
    /// Mirror half of the training images, drawn anew each time they are seen
    #[arg(long)]
    pub flip: bool,
    /// How often to see every training image [default: 1, where the model file says nothing]
    #[arg(long, value_name = "N", group = "length", value_parser = whole_number(1, 100_000), allow_negative_numbers = true)]
    pub epochs: Option<u64>,
    /// How many training steps to take
    #[arg(long, value_name = "N", group = "length", value_parser = whole_number(1, 1_000_000_000), allow_negative_numbers = true)]
    pub steps: Option<u64>,
    /// How many training images to see, rounded up to whole steps
    #[arg(long, value_name = "N", group = "length", value_parser = whole_number(1, 1_000_000_000_000), allow_negative_numbers = true)]
    pub images: Option<u64>,
    /// Images per step [default: the preset's]
    #[arg(long, value_name = "B", value_parser = whole_number(1, 4096), allow_negative_numbers = true)]
    pub batch_size: Option<u64>,
    /// Adam's learning rate at the start [default: the preset's]
    #[arg(long, value_name = "RATE", value_parser = learning_rate, allow_negative_numbers = true)]
    pub learning_rate: Option<f64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
    /// What all random numbers follow from [default: 42, or what the model file says]
    // A model file, which is TOML, has no higher numbers.
    #[arg(long, value_name = "SEED", value_parser = whole_number(0, i64::MAX as u64), allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// The run directory to create [default: runs/NAME-N, N counting up]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Steps between two sample grids [default: a tenth of the run]
    #[arg(long, value_name = "N", value_parser = whole_number(1, 1_000_000_000), allow_negative_numbers = true)]
    pub sample_every: Option<u64>,
    /// Time (30s, 5m, 1h) or steps (500) between two checkpoints; one at the end there is anyway
    #[arg(long, value_name = "EVERY", default_value = "60s", allow_negative_numbers = true)]
    pub checkpoint_every: Every,
    /// How many checkpoints to keep, the newest
    #[arg(long, value_name = "N", default_value = "2", value_parser = whole_number(1, 1_000_000), allow_negative_numbers = true)]
    pub keep_checkpoints: u64,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// Print the run directory and nothing else
    #[arg(long)]
    pub quiet: bool,
}

/// The flags of `generate`.
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    /// A model.safetensors, or the run directory that holds it
    pub model: PathBuf,
    /// How many images to draw [default: 100, or one for each of --latents]
    #[arg(long, value_name = "N", value_parser = whole_number(1, 100_000), allow_negative_numbers = true)]
    pub count: Option<u64>,
    /// The class of every image [default: all classes in turn]
    #[arg(long, value_name = "K", value_parser = whole_number(0, u64::MAX), allow_negative_numbers = true)]
    pub class: Option<u64>,
    /// What the latents follow from
    #[arg(long, value_name = "SEED", default_value = "42", value_parser = whole_number(0, u64::MAX), allow_negative_numbers = true)]
    pub seed: u64,
    /// A file with the tensor `latents` [N, size] f32 and perhaps `labels` `[N]` u8, instead of drawing them
    #[arg(long, value_name = "FILE.safetensors", conflicts_with = "seed")]
    pub latents: Option<PathBuf>,
    /// What to write: a grid (.png), a folder of one PNG each (a name that ends in /), or tensors (.safetensors)
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// The flags of `evaluate`.
#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    /// A model.safetensors, or the run directory that holds it
    #[arg(required_unless_present = "images", conflicts_with = "images")]
    pub model: Option<PathBuf>,
    /// Score these images instead of a model's: a .safetensors file with `images`, or a folder of PNG
    #[arg(long, value_name = "FILE|DIR")]
    pub images: Option<PathBuf>,
    /// How many images to score; scores of different numbers cannot be compared [default: 10000, or all of --images]
    #[arg(long, value_name = "N", value_parser = whole_number(10, 60_000), allow_negative_numbers = true)]
    pub count: Option<u64>,
    /// What the latents and the choice of real images follow from
    #[arg(long, value_name = "SEED", default_value = "42", value_parser = whole_number(0, u64::MAX), allow_negative_numbers = true)]
    pub seed: u64,
    /// The classifier whose features are compared [default: the run's own, or the embedded one, which is for MNIST]
    #[arg(long, value_name = "FILE.safetensors")]
    pub classifier: Option<PathBuf>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub data: DataArgs,
    /// Train a classifier on the images and test it on real ones
    #[arg(long)]
    pub train_on_synthetic: bool,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// The flags of `train-classifier`.
#[derive(Debug, Clone, Args)]
pub struct TrainClassifierArgs {
    /// The file to write
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub data: DataArgs,
    /// How often to see every training image
    #[arg(long, value_name = "N", default_value = "12", value_parser = whole_number(1, 1000), allow_negative_numbers = true)]
    pub epochs: u64,
    /// What weights, batches and shifts follow from
    #[arg(long, value_name = "SEED", default_value = "42", value_parser = whole_number(0, u64::MAX), allow_negative_numbers = true)]
    pub seed: u64,
    /// Print the result and nothing else
    #[arg(long)]
    pub quiet: bool,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// The flags of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// What to train
    #[arg(long, value_name = "PRESET", default_value = DEFAULT_PRESET, value_parser = PossibleValuesParser::new(presets::names()))]
    pub preset: String,
    /// What to train instead: a model file, such as `presets NAME` prints
    #[arg(long, value_name = "FILE.toml", conflicts_with = "preset")]
    pub model: Option<PathBuf>,
    /// Images per step [default: the preset's]
    #[arg(long, value_name = "B", value_parser = whole_number(1, 4096), allow_negative_numbers = true)]
    pub batch_size: Option<u64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How many steps to measure
    #[arg(long, value_name = "N", default_value = "20", value_parser = whole_number(1, 1_000_000), allow_negative_numbers = true)]
    pub steps: u64,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Print the time of every kernel: of a GPU by timestamp queries, of the CPU in the order in which they run
    #[arg(long, conflicts_with = "json")]
    pub profile: bool,
}

/// The flags of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// What to train
    #[arg(long, value_name = "PRESET", default_value = DEFAULT_PRESET, value_parser = PossibleValuesParser::new(presets::names()))]
    pub preset: String,
    /// What to train instead: a model file, such as `presets NAME` prints
    #[arg(long, value_name = "FILE.toml", conflicts_with = "preset")]
    pub model: Option<PathBuf>,
    /// Images per step [default: 4]
    #[arg(long, value_name = "B", value_parser = whole_number(1, 256), allow_negative_numbers = true)]
    pub batch_size: Option<u64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How many steps to check
    #[arg(long, value_name = "K", default_value = "2", value_parser = whole_number(1, 1_000), allow_negative_numbers = true)]
    pub steps: u64,
}

/// Parses whole numbers from `min` to `max`.
pub(crate) fn whole_number(min: u64, max: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ if max == u64::MAX => Err(format!("expected a whole number from {min} up")),
        _ => Err(format!("expected a whole number from {min} to {max}")),
    }
}

/// Parses a learning rate: above 0, at most 1.
fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1.0 => Ok(rate),
        _ => Err("expected a number above 0 and at most 1, such as 0.001".into()),
    }
}

/// What parsing a command line comes to.
#[derive(Debug)]
pub enum Parsed {
    /// Something to do.
    Run(Box<Cli>),
    /// Help or a version, to print.
    Print(String),
    /// One line that says what is wrong.
    Wrong(String),
}

/// Parses a command line, program name first.
pub fn parse(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Parsed {
    let command = Cli::command();
    let result = command.try_get_matches_from(arguments).and_then(|m| Cli::from_arg_matches(&m));
    match result {
        Ok(cli) => Parsed::Run(Box::new(cli)),
        Err(e) => match e.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Parsed::Print(e.render().to_string()),
            _ => Parsed::Wrong(one_line(&e.render().to_string())),
        },
    }
}

/// Joins what clap spreads over several lines: what is wrong, and the tips; without usage and the pointer to
/// --help.
fn one_line(rendered: &str) -> String {
    let mut lines = rendered.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut text = lines.next().unwrap_or_default().trim_start_matches("error: ").to_string();
    for line in
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
    {
        let line = line.trim_start_matches('[').trim_end_matches(']');
        text.push_str(if text.ends_with(':') { " " } else { "; " });
        text.push_str(line.trim_start_matches("tip: "));
    }
    text
}

/// A duration for people: `850 ms`, `7 s`, `4 min 05 s`, `2 h 07 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(line: &str) -> String {
        match parse(format!("gan-mnist {line}").split_whitespace()) {
            Parsed::Wrong(message) => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_subcommand_means_train() {
        let Parsed::Run(cli) = parse(["gan-mnist", "--steps", "3", "--quiet"]) else { panic!() };
        assert!(cli.command.is_none() && cli.train.steps == Some(3) && cli.train.quiet);
        assert_eq!((cli.train.preset.as_str(), cli.train.seed), ("cdcgan", None));
    }

    #[test]
    fn mistakes_are_one_line_that_says_what_would_be_right() {
        for (line, parts) in [
            ("--preset cdgan", &["'cdgan'", "cdcgan", "dcgan"][..]),
            ("--steps 0", &["--steps", "whole number from 1 to"]),
            ("--steps -3", &["--steps", "whole number from 1 to"]),
            ("--batch-size 1e9", &["--batch-size", "from 1 to 4096"]),
            ("--batch-size 99999999999999999999", &["--batch-size", "from 1 to 4096"]),
            ("--learning-rate 0", &["--learning-rate", "above 0 and at most 1"]),
            ("--learning-rate NaN", &["--learning-rate", "above 0 and at most 1"]),
            ("--seed -1", &["--seed", "whole number from 0 to 9223372036854775807"]),
            ("--threads 0", &["--threads", "from 1 to 1024"]),
            ("--device cuda", &["'cuda'", "auto, cpu, gpu, reference"]),
            ("--steps 3 --epochs 2", &["--steps", "--epochs"]),
            ("--checkpoint-every 0", &["--checkpoint-every", "30s, 5m or 1h"]),
            ("--checkpoint-every -5", &["--checkpoint-every", "30s, 5m or 1h"]),
            ("--keep-checkpoints 0", &["--keep-checkpoints", "from 1 to"]),
            ("resume", &["RUN"]),
            ("resume r --steps 1 --epochs 1", &["--steps", "--epochs"]),
            ("trian", &["trian", "train"]),
            ("--step 3", &["--step", "--steps"]),
            ("generate", &["--out", "MODEL"]),
            ("generate m --out x --class -1", &["--class", "whole number from 0"]),
            ("generate m --out x --count 0", &["--count", "from 1 to 100000"]),
            ("evaluate m --count 5", &["--count", "from 10 to 60000"]),
            ("evaluate", &["MODEL"]),
            ("train-classifier", &["--out"]),
            ("bench --steps 0", &["--steps", "from 1 to"]),
        ] {
            let message = wrong(line);
            assert!(!message.contains('\n') && !message.starts_with("error"), "{message}");
            assert!(parts.iter().all(|part| message.contains(part)), "{line}: {message}");
        }
    }

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [
            (0.25, "250 ms"),
            (7.2, "7 s"),
            (59.7, "1 min 00 s"),
            (245.0, "4 min 05 s"),
            (7620.0, "2 h 07 min"),
        ] {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), text);
        }
    }
}
