//! What every rank but the first does.

use gannet::Gan;
use gannet::tensor_file::TensorFile;
use gannet_data::DataSet;
use gannet_data::pictures::Manifest;

use super::interrupt::Interrupt;
use crate::arguments::DeviceArgs;
use crate::data::{StepError, batches_of};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ranks::{Begin, Control, Fingerprint, Ranks};
use crate::run::Config;
use crate::terminal::{Listening, note};

/// Takes part in the run that rank 0 begins, until that says that it ends. `device` gives the flags of the device for the
/// settings of the run. Prints nothing, but for images that go bad, and writes nothing.
pub fn follow(ranks: &Ranks, device: impl FnOnce(&mut Config) -> Result<DeviceArgs>) -> Result<()> {
    // What ends the run goes to rank 0, which saves and then says so.
    let _interrupt = Interrupt::listen(true)?;
    let begin = match ranks.hear()? {
        Control::Begin(begin) => begin,
        Control::End => return Ok(()),
        other => return Err(out_of_step(&other)),
    };
    let state = ranks.receive()?;
    let manifest = if begin.listed { Some(ranks.receive()?) } else { None };
    let (settings, device, data) = match open(ranks, &begin, manifest.as_deref(), device) {
        Ok(opened) => opened,
        Err(error) => return excused(ranks, &error),
    };
    train(ranks, &settings, &device, &data, &state)
}

fn out_of_step(control: &Control) -> Error {
    Error::failure(format!("rank 0 said {control:?}, which nobody expected here"))
}

/// Says why this rank cannot take part; the run then ends.
fn excused(ranks: &Ranks, error: &Error) -> Result<()> {
    ranks.report(Err(error.line()))?;
    match ranks.hear()? {
        Control::End => Ok(()),
        other => Err(out_of_step(&other)),
    }
}

/// The settings of the run, this rank's device, and the images as rank 0 has them.
fn open(
    ranks: &Ranks,
    begin: &Begin,
    manifest: Option<&[u8]>,
    device: impl FnOnce(&mut Config) -> Result<DeviceArgs>,
) -> Result<(Config, Device, DataSet)> {
    let version = env!("CARGO_PKG_VERSION");
    if begin.version != version {
        return Err(Error::failure(format!(
            "is version {version}, and rank 0 {}: all have to be the same program",
            begin.version
        )));
    }
    let mut settings: Config = toml::from_str(&begin.settings).map_err(Error::failure)?;
    let device = Device::open(&ranks.device(&device(&mut settings)?))?;
    let manifest = match manifest {
        None => None,
        Some(bytes) => {
            let damaged = || Error::failure("the list of pictures that came from rank 0 is damaged");
            Some(Manifest::from_bytes(bytes).ok_or_else(damaged)?)
        }
    };
    let found = settings.data.reopen(manifest.as_ref(), None, false, &Listening::default())?;
    Ok((settings, device, found.data))
}

/// Trains as rank 0 says, from a state that came from there.
pub(super) fn train(
    ranks: &Ranks,
    settings: &Config,
    device: &Device,
    data: &DataSet,
    state: &[u8],
) -> Result<()> {
    let made = parse(state).and_then(|file| {
        let gan = Gan::from_file(device, &file)?;
        let batches = batches_of(&gan, data, settings.images_seen(gan.step()))?;
        let fingerprint = Fingerprint::of(&gan, data, device)?;
        Ok((gan, ranks.batches(batches), fingerprint))
    });
    let (mut gan, mut batches, fingerprint) = match made {
        Ok(made) => made,
        Err(error) => return excused(ranks, &error),
    };
    ranks.report(Ok(fingerprint))?;
    loop {
        match ranks.hear()? {
            Control::Step(step) if step == gan.step() => {
                let notes = batches.take_notes();
                notes.iter().for_each(|line| note(&format!("rank {}: {line}", ranks.rank())));
                match ranks.step(&mut gan, &mut batches) {
                    // Rank 0 sees it too, and decides.
                    Ok(()) | Err(StepError::Training(gannet::Error::Diverged(_))) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Control::Rewind(learning_rate) => {
                gan.rewind(&parse(&ranks.receive()?)?)?;
                gan.scale_learning_rates(learning_rate)?;
                batches.seek(settings.images_seen(gan.step()));
            }
            Control::Take => gan.rewind(&parse(&ranks.receive()?)?)?,
            Control::End => return Ok(()),
            other @ (Control::Begin(_) | Control::Step(_)) => return Err(out_of_step(&other)),
        }
    }
}

/// A state that came from rank 0.
fn parse(bytes: &[u8]) -> Result<TensorFile> {
    TensorFile::parse(bytes).map_err(|e| Error::failure(format!("the state that came from rank 0: {e}")))
}
