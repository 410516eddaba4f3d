//! `gan-mnist train`: from a preset to a run directory.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use gannet::{Backend, Gan, GanConfig, presets};

use crate::cli::{TrainArgs, duration};
use crate::data::{LabelledImages, Shuffle, mnist};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::output::say;
use crate::picture::{ImageShape, Picture};
use crate::progress::Progress;
use crate::run_directory::{Config, RunDirectory};

/// Where runs go by default.
const RUNS: &str = "runs";
/// Images in a sample grid: ten rows of ten.
const SAMPLES: usize = 100;

/// Trains what the flags ask for and writes a run directory.
pub fn run(args: &TrainArgs) -> Result<()> {
    // Unpacking takes about as long as building the model: both at once.
    let loading = thread::spawn(|| mnist::load(mnist::Split::Train));
    let device = Device::open(&args.device)?;
    let config = configure(args)?;
    let data = move || match loading.join() {
        Ok(data) => data,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    match &device {
        Device::Cpu(cpu) => train(args, &device, cpu, config, data),
        Device::Gpu(gpu) => train(args, &device, gpu, config, data),
        Device::Reference(reference) => train(args, &device, reference, config, data),
    }
}

/// The preset with the flags in it; its `steps` are set.
fn configure(args: &TrainArgs) -> Result<GanConfig> {
    let mut config = presets::get(&args.preset)?.seed(args.seed);
    if let Some(batch_size) = args.batch_size {
        config.batch_size = batch_size as usize;
    }
    if let Some(rate) = args.learning_rate {
        config.generator_optimiser = config.generator_optimiser.with_learning_rate(rate);
        config.discriminator_optimiser = config.discriminator_optimiser.with_learning_rate(rate);
    }
    let images = args.images.unwrap_or(args.epochs.unwrap_or(1) * mnist::TRAIN_IMAGES);
    config.steps = Some(args.steps.unwrap_or(images.div_ceil(config.batch_size as u64)));
    Ok(config)
}

fn train<B: Backend<Element = f32>>(
    args: &TrainArgs,
    device: &Device,
    backend: &B,
    config: GanConfig,
    data: impl FnOnce() -> Result<LabelledImages>,
) -> Result<()> {
    let steps = config.steps.unwrap_or_default();
    let sample_every = args.sample_every.unwrap_or(steps.div_ceil(10));
    let mut gan = Gan::new(backend, config)?;
    gan.prepare()?;
    let sampler = Sampler::new(&gan, args.seed)?;
    let data = data()?;
    check_fit(&gan, &data)?;

    let run = match &args.out {
        Some(path) => RunDirectory::create(path)?,
        None => RunDirectory::create_next(Path::new(RUNS), &args.preset)?,
    };
    let batch_size = gan.config().batch_size;
    run.write_config(&Config {
        version: env!("CARGO_PKG_VERSION").into(),
        preset: args.preset.clone(),
        dataset: "mnist".into(),
        dataset_images: data.len(),
        steps,
        images: steps * batch_size as u64,
        batch_size,
        learning_rate: gan.config().generator_optimiser.learning_rate(),
        sample_every,
        seed: args.seed,
        device: device.name().into(),
        device_description: device.describe(),
        threads: device.threads(),
        model: gan.config().to_toml()?.parse().map_err(Error::failure)?,
    })?;
    let mut losses = run.losses()?;
    if !args.quiet {
        let (preset, device, run) = (&args.preset, device.describe(), run.path().display());
        say(&format!("{preset}: {steps} steps of {batch_size} images on {device}, into {run}"));
    }

    let start = Instant::now();
    let mut progress = Progress::new(steps, sample_every, args.quiet);
    let mut batches = Batches::new(&data, batch_size, args.seed);
    let conditional = gan.classes().is_some();
    for step in 1..=steps {
        let began = Instant::now();
        let (images, labels) = batches.next();
        let result = gan.train_on_batch(images, conditional.then_some(labels));
        let step_losses = match result {
            Ok(step_losses) => step_losses,
            Err(error) => {
                progress.finish();
                losses.flush()?;
                return Err(error.into());
            }
        };
        losses.push(step, step_losses.d_real as f32, step_losses.d_fake as f32, step_losses.g as f32);
        progress.stepped(began.elapsed(), step_losses);
        if step.is_multiple_of(sample_every) || step == steps {
            let began = Instant::now();
            losses.flush()?;
            let grid = sampler.grid(&mut gan)?;
            run.write_samples(step, &grid)?;
            // Whoever stops a run here keeps what it has learnt.
            gan.save(run.model()).map_err(|e| Error::failure(format!("cannot save the model: {e}")))?;
            if step == steps {
                run.write_last_samples(&grid)?;
            }
            progress.sampled(began.elapsed());
        }
    }
    progress.finish();
    report(&run, steps, start.elapsed(), args.quiet);
    Ok(())
}

/// Errors unless the model is one for these images.
pub(crate) fn check_fit<B: Backend>(gan: &Gan<B>, data: &LabelledImages) -> Result<()> {
    let ImageShape { height, width, channels } = data.shape();
    let shape = [height, width, channels];
    if gan.image_shape().dims() != shape {
        let model = gan.image_shape();
        return Err(Error::failure(format!(
            "the model makes images of shape {model}, the data has {shape:?}"
        )));
    }
    if let Some(classes) = gan.classes()
        && classes != data.classes()
    {
        let found = data.classes();
        return Err(Error::failure(format!("the model has {classes} classes, the data has {found}")));
    }
    Ok(())
}

/// The last lines: where everything is, and what to type next.
fn report(run: &RunDirectory, steps: u64, took: std::time::Duration, quiet: bool) {
    let path = run.path();
    if quiet {
        say(&path.display().to_string());
        return;
    }
    let rate = steps as f64 / took.as_secs_f64();
    say(&format!("{steps} steps in {}, {rate:.1} steps/s with everything", duration(took)));
    for (what, name) in [
        ("pictures", "samples.png"),
        ("", "samples/"),
        ("model", crate::run_directory::MODEL),
        ("losses", "losses.csv"),
        ("settings", "config.toml"),
    ] {
        say(&format!("{what:9} {}", path.join(name).display()));
    }
    say(&format!("{:9} {} generate {} --count 20 --out digits.png", "next", program(), shell_word(path)));
}

/// What starts this program again.
fn program() -> String {
    if std::env::var_os("CARGO_MANIFEST_DIR").is_some() {
        return "cargo run -p gan-mnist --".into();
    }
    std::env::args_os().next().map_or_else(|| "gan-mnist".into(), |name| shell_word(&PathBuf::from(name)))
}

/// A path as a shell takes it: in quotes where it needs them.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/\\._-+:~".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Training batches, in the order that the seed gives.
pub(crate) struct Batches<'a> {
    data: &'a LabelledImages,
    shuffle: Shuffle,
    indices: Vec<usize>,
    images: Vec<f32>,
    labels: Vec<u32>,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(data: &'a LabelledImages, batch_size: usize, seed: u64) -> Self {
        Batches {
            data,
            shuffle: Shuffle::new(data.len(), seed),
            indices: vec![0; batch_size],
            images: vec![0.0; batch_size * data.shape().len()],
            labels: vec![0; batch_size],
        }
    }

    /// The next images [batch_size, H, W, C] in [-1, 1] and their classes.
    pub(crate) fn next(&mut self) -> (&[f32], &[u32]) {
        self.shuffle.fill(&mut self.indices);
        self.data.gather(&self.indices, &mut self.images, &mut self.labels);
        (&self.images, &self.labels)
    }
}

/// Draws the same latents again and again: what `generate` draws from the same seed.
struct Sampler {
    latents: Vec<f32>,
    labels: Option<Vec<u32>>,
    shape: ImageShape,
}

impl Sampler {
    fn new<B: Backend<Element = f32>>(gan: &Gan<B>, seed: u64) -> Result<Self> {
        Ok(Sampler {
            latents: gan.latents(SAMPLES, seed),
            labels: gan.classes().map(|classes| classes_in_turn(SAMPLES, classes)),
            shape: image_shape(gan)?,
        })
    }

    fn grid<B: Backend<Element = f32>>(&self, gan: &mut Gan<B>) -> Result<Picture> {
        let images = gan.generate(&self.latents, self.labels.as_deref())?;
        Ok(Picture::grid(&images, self.shape, columns(SAMPLES, self.labels.as_deref(), gan.classes())))
    }
}

/// Classes 0, 1, ... over and over.
pub(crate) fn classes_in_turn(count: usize, classes: usize) -> Vec<u32> {
    (0..classes as u32).cycle().take(count).collect()
}

/// The columns of a grid: one for each class if they come in turn, otherwise as many as rows.
pub(crate) fn columns(count: usize, labels: Option<&[u32]>, classes: Option<usize>) -> usize {
    match (labels, classes) {
        (Some(labels), Some(classes)) if labels == classes_in_turn(count, classes) => classes.min(count),
        _ => (1..).find(|n| n * n >= count).unwrap_or(1),
    }
}

/// The size of the images that a model makes. Errors where they are no images of 1 or 3 channels.
pub(crate) fn image_shape<B: Backend>(gan: &Gan<B>) -> Result<ImageShape> {
    match *gan.image_shape().dims() {
        [height, width, channels @ (1 | 3)] => Ok(ImageShape { height, width, channels }),
        _ => Err(Error::failure(format!(
            "the model makes tensors of shape {}, not images [height, width, 1 or 3]",
            gan.image_shape()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_have_a_column_per_class_where_classes_come_in_turn() {
        assert_eq!(columns(25, Some(&classes_in_turn(25, 10)), Some(10)), 10);
        assert_eq!(columns(3, Some(&classes_in_turn(3, 10)), Some(10)), 3);
        assert_eq!(columns(12, Some(&[7; 12]), Some(10)), 4);
        assert_eq!((columns(1, None, None), columns(100, None, None)), (1, 10));
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_cut_them() {
        assert_eq!(shell_word(Path::new("runs/cdcgan-1")), "runs/cdcgan-1");
        assert_eq!(shell_word(Path::new("my runs/it's")), r"'my runs/it'\''s'");
    }
}
