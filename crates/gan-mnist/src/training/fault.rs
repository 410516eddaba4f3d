//! Which operation it was that gave the first number that is not finite.

use gannet::{Backend, Gan, Probe};
use gannet_data::Batches;

use crate::data::Feed;
use crate::error::Result;
use crate::run::Checkpoint;

/// Trains again from a checkpoint, before which `seen` images were seen, to just before step `failed`, and computes that step by the reference, one operation
/// after another. Says in words what it found. The GAN and the batches stay somewhere before that step.
pub(super) fn find<B: Backend<Element = f32>>(
    gan: &mut Gan<B>,
    batches: &mut Batches,
    from: &Checkpoint,
    seen: u64,
    failed: u64,
) -> Result<String> {
    gan.rewind(&from.model)?;
    batches.seek(seen);
    while gan.step() + 1 < failed {
        let mut feed = Feed::new(gan, batches);
        gan.train_step_by(&mut feed)?;
        match gan.losses() {
            // The losses of a GPU come late: it was this step.
            Err(gannet::Error::Diverged(_)) if gan.step() < failed => {
                let earlier = gan.step();
                return find(gan, batches, from, seen, earlier);
            }
            result => result?,
        };
    }
    let file = match gan.to_file() {
        Err(error @ gannet::Error::Diverged(_)) => return Ok(format!("before that, {error}")),
        file => file?,
    };
    let probe = Probe::new();
    let mut probed = Gan::from_file(&probe, &file)?;
    let mut feed = Feed::new(&probed, batches);
    // That it fails is why it is done.
    let _ = probed.train_step_by(&mut feed).and_then(|()| Ok(probed.losses()?));
    Ok(match probe.fault() {
        Some(fault) => format!("the first number of step {failed} that is not finite is {fault}"),
        None => "the reference computes finite numbers from the same state, so the device is in doubt: \
                 `gan-mnist verify` checks it"
            .into(),
    })
}
