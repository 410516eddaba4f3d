//! `gan-mnist train-classifier`: the features of the metrics.

use std::path::PathBuf;

use clap::Args;
use gannet::Backend;
use gannet_data::Images;
use gannet_data::files::PendingFile;

use crate::arguments::{DataArgs, DeviceArgs, check_ending, whole_number};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::evaluation::{Compared, check_counts, learn};
use crate::terminal::{note, say};

/// The flags of `train-classifier`.
#[derive(Debug, Clone, Args)]
pub struct TrainClassifierArgs {
    /// The file to write
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub data: DataArgs,
    /// How often to see every training image [default: 12, or more where they are few]; pictures without classes are seen
    /// 38,400 times in all
    #[arg(long, value_name = "N", value_parser = whole_number(1, 1000), allow_negative_numbers = true)]
    pub epochs: Option<u64>,
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

/// Trains a classifier on the training images, tests it on the test images where they have classes, and writes its file.
pub fn run(args: &TrainClassifierArgs) -> Result<()> {
    check_ending("--out", &args.out, "safetensors")?;
    // Opened first, so that what cannot be written is known before any work.
    let out = PendingFile::create(&args.out)?;
    train(args, &Device::open(&args.device)?, out)
}

fn train<B: Backend<Element = f32>>(args: &TrainClassifierArgs, backend: &B, out: PendingFile) -> Result<()> {
    let compared = Compared::open(&args.data, None, None, args.seed)?;
    let (name, train) = (&compared.name, &compared.train);
    if compared.halved && !args.quiet {
        note(&format!("{name} has no test images: one half of its images is kept for the test"));
    }
    if train.classes().is_none() && !args.quiet {
        note(&format!("{name} has no classes: the features are learnt from the pictures alone"));
    }
    check_counts(0, train.len(), compared.test.len())?;
    let classifier =
        learn(backend, &compared, args.epochs.map(|epochs| epochs as usize), args.seed, args.quiet)?;
    let bytes = classifier.to_file()?.to_bytes().map_err(Error::failure)?;
    out.finish_with(&bytes)?;
    let numbers = format!("{} numbers in {}", classifier.parameter_count(), args.out.display());
    match classifier.record() {
        Some(record) if !record.self_supervised => say(&format!(
            "{:.2} % of {} test images right; {numbers}",
            100.0 * record.test_correct as f64 / record.test_images as f64,
            record.test_images
        )),
        _ => say(&format!("learnt from {} pictures; {numbers}", train.len())),
    }
    Ok(())
}
