//! `gan-mnist data`: what a set of images holds, and what training makes of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use gannet::{Backend, Gan, GanConfig};
use gannet_data::DataSet;
use gannet_data::files::PendingFile;

use crate::arguments::{DataArgs, DeviceArgs, preset, whole_number};
use crate::data::{batches_of, check_fit, fit_classes, images_of};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::recipe;
use crate::terminal::{duration, note, program, say, shell_word};
use crate::training::real_grid;

/// Steps that are measured for the estimate, after one that is not.
const MEASURED: u32 = 3;

/// The flags of `data`.
#[derive(Debug, Clone, Args)]
pub struct DataCommandArgs {
    /// The folder, archive, array or file of images
    pub path: PathBuf,
    /// For which preset [default: cdcgan-32 where there are classes, otherwise dcgan-32]
    #[arg(long, value_name = "PRESET", value_parser = preset())]
    pub preset: Option<String>,
    /// For which model file, such as `presets NAME` prints
    #[arg(long, value_name = "FILE.toml", conflicts_with = "preset")]
    pub model: Option<PathBuf>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub data: DataArgs,
    /// What the order of the images follows from
    #[arg(long, value_name = "SEED", default_value = "42", value_parser = whole_number(0, i64::MAX as u64), allow_negative_numbers = true)]
    pub seed: u64,
    /// The picture to write: a hundred of the images as training sees them
    #[arg(long, value_name = "FILE.png", default_value = "real.png")]
    pub out: PathBuf,
    /// Leave out the estimate of how long training takes
    #[arg(long)]
    pub no_estimate: bool,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Says what there is, writes a picture of it, and estimates how long training takes.
pub fn run(args: &DataCommandArgs) -> Result<()> {
    if args.out.extension().is_none_or(|extension| extension != "png") {
        return Err(Error::usage(format!("--out {} is no name ending in .png", args.out.display())));
    }
    if args.data.data.is_some() || args.data.dataset.is_some() {
        return Err(Error::usage("data takes its path without a flag; leave out --data and --dataset"));
    }
    let flags = DataArgs { data: Some(args.path.clone()), ..args.data.clone() };
    let named = args.preset.as_deref();
    let (data, config) = match (named, &args.model) {
        (None, None) => {
            // Which preset fits is seen when the classes are known.
            let unconditional = recipe::load("dcgan-32", None)?;
            let data = flags.open(images_of(&unconditional)?, args.seed)?;
            let config = match data.classes() {
                Some(_) => recipe::load("cdcgan-32", None)?,
                None => unconditional,
            };
            (data, config)
        }
        (name, model) => {
            let config = recipe::load(name.unwrap_or_default(), model.as_deref())?;
            (flags.open(images_of(&config)?, args.seed)?, config)
        }
    };
    match data.summary() {
        Some(summary) => summary.lines().iter().for_each(|line| say(line)),
        None => {
            let shape = data.shape();
            say(&format!(
                "images       {}, {}x{}, {} channels",
                data.len(),
                shape.width,
                shape.height,
                shape.channels
            ));
            match data.classes() {
                Some(classes) => say(&format!("classes      {classes}")),
                None => say("classes      none"),
            }
        }
    }
    data.notes().iter().for_each(|line| say(&format!("note         {line}")));
    let file = PendingFile::create(&args.out)?;
    real_grid(&data, args.seed, data.classes().is_some())?.write_png(file)?;
    data.images().take_notes().iter().for_each(|line| note(line));
    say(&format!("as trained   {}", args.out.display()));
    if args.no_estimate {
        return Ok(());
    }
    let config = if args.model.is_none() { fit_classes(config, &data)? } else { config };
    let steps = config.steps.or(Some(1));
    let config = config.seed(args.seed).steps(steps);
    let name = config.name.clone();
    let device = Device::open(&args.device)?;
    let estimate = match &device {
        Device::Cpu(cpu) => estimate(cpu, config, &data),
        Device::Gpu(gpu) => estimate(gpu, config, &data),
        Device::Reference(reference) => estimate(reference, config, &data),
    };
    match estimate {
        Ok((batch, step)) => {
            let steps = (data.len() as u64).div_ceil(batch as u64);
            let epoch = step.mul_f64(steps as f64);
            let plural = if steps == 1 { "step" } else { "steps" };
            say(&format!(
                "estimate     {name}: once over all images is {steps} {plural} of {batch}, about {} on {}",
                duration(epoch),
                device.describe()
            ));
            let what = match &args.model {
                Some(model) => format!("--model {}", shell_word(model)),
                None => format!("--preset {name}"),
            };
            let flags = flags.shaping();
            say(&format!("next         {} train {what} --data {}{flags}", program(), shell_word(&args.path)));
        }
        Err(error) => say(&format!("estimate     none: {error}")),
    }
    Ok(())
}

/// The size of a batch, and how long a step takes.
fn estimate<B: Backend<Element = f32>>(
    backend: &B,
    config: GanConfig,
    data: &DataSet,
) -> Result<(usize, Duration)> {
    let mut gan = Gan::new(backend, config)?;
    check_fit(&gan, data)?;
    gan.prepare()?;
    let batch = gan.config().batch_size;
    let conditional = gan.training_labels().is_some();
    let mut batches = batches_of(&gan, data, 0)?;
    let mut began = Instant::now();
    for step in 0..=MEASURED {
        if step == 1 {
            gan.awaited_losses()?;
            began = Instant::now();
        }
        let (images, labels) = batches.next_batch()?;
        gan.train_step(images, conditional.then_some(labels))?;
    }
    while gan.awaited_losses()?.is_some() {}
    Ok((batch, began.elapsed() / MEASURED))
}
