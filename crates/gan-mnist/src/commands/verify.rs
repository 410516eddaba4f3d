//! `gan-mnist verify`: training steps with every operation computed again by the reference.

use gannet::{Backend, Gan};
use gannet_gpu::Verifier;

use crate::cli::{DeviceChoice, VerifyArgs};
use crate::data::{DataArgs, batches_of, check_fit, images_of};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::output::say;

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
    config.steps = Some(args.steps);
    let (batch_size, seed) = (config.batch_size, config.seed);
    let data = DataArgs::default().or_named_after(&config.name).open(images_of(&config)?, seed)?;
    let mut gan = Gan::new(&verifier, config)?;
    check_fit(&gan, &data)?;
    let mut batches = batches_of(&gan, &data, 0)?;
    let conditional = gan.training_labels().is_some();
    for _ in 0..args.steps {
        let (images, labels) = batches.next_batch()?;
        gan.train_on_batch(images, conditional.then_some(labels))?;
    }
    let report = verifier.report();
    say(&format!(
        "{}: {} steps of {batch_size} images on {}",
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
