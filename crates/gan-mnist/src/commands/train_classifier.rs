//! `gan-mnist train-classifier`: the features of the metrics.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use gannet::Backend;
use gannet::metrics::{Classifier, ClassifierRecord, ClassifierTraining};
use gannet_data::Images;
use gannet_data::files::PendingFile;

use crate::arguments::{DataArgs, DeviceArgs, whole_number};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::evaluation::Compared;
use crate::terminal::{duration, note, say};

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

/// How often a line says how far it is.
const LINE: Duration = Duration::from_secs(10);

/// Trains a classifier on the training images, tests it on the test images, and writes its file.
pub fn run(args: &TrainClassifierArgs) -> Result<()> {
    // Opened first, so that what cannot be written is known before any work.
    let out = PendingFile::create(&args.out)?;
    match Device::open(&args.device)? {
        Device::Cpu(cpu) => train(args, &cpu, out),
        Device::Gpu(gpu) => train(args, &gpu, out),
        Device::Reference(reference) => train(args, &reference, out),
    }
}

fn train<B: Backend<Element = f32>>(args: &TrainClassifierArgs, backend: &B, out: PendingFile) -> Result<()> {
    let Compared { name, train: data, test, halved } = Compared::open(&args.data, None, None, args.seed)?;
    let shape = data.shape();
    let (Some(classes), Some(labels), Some(test_labels)) = (data.classes(), data.labels(), test.labels())
    else {
        return Err(Error::failure(format!(
            "the images of {name} have no classes; a classifier learns from labels, or from a folder for each class"
        )));
    };
    if halved && !args.quiet {
        note(&format!("{name} has no test images: one half of its images is kept for the test"));
    }
    let mut classifier =
        Classifier::new(backend, [shape.height, shape.width, shape.channels], classes, args.seed)?;
    let options = ClassifierTraining { epochs: args.epochs as usize, seed: args.seed, ..Default::default() };
    let (began, mut said) = (Instant::now(), Instant::now());
    let mut loss = None;
    classifier.train(data.pixels(), labels, options, |at| {
        // A mean over some hundred steps: one batch says little.
        let mean = loss.map_or(at.loss, |loss| 0.99 * loss + 0.01 * at.loss);
        loss = Some(mean);
        if !args.quiet && (said.elapsed() >= LINE || at.step == at.steps) {
            said = Instant::now();
            let left = began.elapsed().mul_f64((at.steps - at.step) as f64 / at.step as f64);
            note(&format!("step {}/{}  loss {mean:.4}  {} left", at.step, at.steps, duration(left)));
        }
    })?;
    // The test images had no part in the training.
    let correct = classifier.classify(test.pixels())?.correct(test_labels);
    classifier.set_record(ClassifierRecord {
        dataset: name,
        training_images: data.len(),
        epochs: options.epochs,
        seed: args.seed,
        test_images: test.len(),
        test_correct: correct,
    });
    let bytes = classifier.to_file()?.to_bytes().map_err(Error::failure)?;
    out.finish_with(&bytes)?;
    say(&format!(
        "{:.2} % of {} test images right; {} numbers in {}",
        100.0 * correct as f64 / test.len() as f64,
        test.len(),
        classifier.parameter_count(),
        args.out.display()
    ));
    Ok(())
}
