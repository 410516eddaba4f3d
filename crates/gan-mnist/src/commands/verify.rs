//! `gan-mnist verify`: training steps with every operation computed again by the reference.

use std::path::PathBuf;

use clap::Args;
use gannet::{Backend, Gan};
use gannet_gpu::Verifier;

use crate::arguments::{DEFAULT_PRESET, DataArgs, DeviceArgs, DeviceChoice, preset, whole_number};
use crate::data::{Feed, batches_of, check_fit, images_of};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::terminal::say;

/// The flags of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// What to train
    #[arg(long, value_name = "PRESET", default_value = DEFAULT_PRESET, value_parser = preset())]
    pub preset: String,
    /// What to train instead: a model file, such as `presets NAME` prints
    #[arg(long, value_name = "FILE.toml", conflicts_with = "preset")]
    pub model: Option<PathBuf>,
    /// Images per step, or in each micro-batch of one [default: 4]
    #[arg(long, value_name = "B", value_parser = whole_number(1, 256), allow_negative_numbers = true)]
    pub batch_size: Option<u64>,
    /// Micro-batches of a step [default: 1, or what the model file says]
    #[arg(long, value_name = "A", value_parser = whole_number(1, 256), allow_negative_numbers = true)]
    pub accumulate: Option<u64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How many steps to check
    #[arg(long, value_name = "K", default_value = "2", value_parser = whole_number(1, 1_000), allow_negative_numbers = true)]
    pub steps: u64,
}

/// Images in a step without `--batch-size`: enough to cross the edges of tiles, few enough for the reference.
const BATCH_SIZE: usize = 4;

/// Trains `--steps` steps on the GPU and compares each operation's result with the reference in f64. Errors, and
/// says which operation, when one is outside its bound.
pub fn run(args: &VerifyArgs) -> Result<()> {
    let wrong = || Error::Usage("verify checks a GPU; choose one with --adapter".into());
    if !matches!(args.device.device, DeviceChoice::Auto | DeviceChoice::Gpu) {
        return Err(wrong());
    }
    let Device::Gpu(gpu) = crate::device::gpu(&args.device)? else { return Err(wrong()) };
    let verifier = Verifier::new(gpu);
    let mut config = crate::recipe::load(&args.preset, args.model.as_deref())?;
    config.batch_size = args.batch_size.map_or(BATCH_SIZE, |size| size as usize);
    config.accumulate = args.accumulate.unwrap_or(config.accumulate);
    config.steps = Some(args.steps);
    let (per_step, seed) = (config.images_per_step(), config.seed);
    let data = DataArgs::default().or_named_after(&config.name).open(images_of(&config)?, seed)?;
    let mut gan = Gan::new(&verifier, config)?;
    check_fit(&gan, &data)?;
    let mut batches = batches_of(&gan, &data, 0)?;
    for _ in 0..args.steps {
        let mut feed = Feed::new(&gan, &mut batches);
        gan.train_step_by(&mut feed)?;
        gan.losses()?;
    }
    let report = verifier.report();
    say(&format!(
        "{}: {} steps of {per_step} images on {}",
        gan.config().name,
        args.steps,
        gan.backend().describe()
    ));
    say(&report.to_string());
    match report.failure {
        Some(failure) => Err(Error::failure(format!("this device computes wrong numbers: {failure}"))),
        None => Ok(()),
    }
}
