//! `gan-mnist resume`: goes on with a run from its last checkpoint.

use std::path::PathBuf;

use clap::Args;
use gannet::{Backend, Gan, GanConfig};
use gannet_data::{DataRecord, DataSet, Reopened};

use super::train::{describe, listen, report};
use crate::arguments::{DeviceArgs, DeviceChoice, Every, LiveArgs, RankArgs, learning_rate, whole_number};
use crate::data::batches_of;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::live::Live;
use crate::ranks::Ranks;
use crate::run::{Change, Checkpoint, Checkpoints, Config, Os, RunDirectory};
use crate::server::Listener;
use crate::terminal::{Listening, note, resume_command, say};
use crate::training::{Interrupt, Session, Setup, follow, observers};

/// The flags of `resume`.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// The run directory
    pub run: PathBuf,
    /// Make the run longer by so many passes over the training images
    #[arg(long, value_name = "MORE", group = "more", value_parser = whole_number(1, 100_000), allow_negative_numbers = true)]
    pub epochs: Option<u64>,
    /// Make the run longer by so many steps
    #[arg(long, value_name = "MORE", group = "more", value_parser = whole_number(1, 1_000_000_000), allow_negative_numbers = true)]
    pub steps: Option<u64>,
    /// Make the run longer by so many images, rounded up to whole steps
    #[arg(long, value_name = "MORE", group = "more", value_parser = whole_number(1, 1_000_000_000_000), allow_negative_numbers = true)]
    pub images: Option<u64>,
    /// Train on with so many images per step, or in each micro-batch of one
    #[arg(long, value_name = "B", value_parser = whole_number(1, 4096), allow_negative_numbers = true)]
    pub batch_size: Option<u64>,
    /// Train on with steps of so many micro-batches
    #[arg(long, value_name = "A", value_parser = whole_number(1, 4096), allow_negative_numbers = true)]
    pub accumulate: Option<u64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub ranks: RankArgs,
    /// Train on with this learning rate of Adam, from which a schedule falls
    #[arg(long, value_name = "RATE", value_parser = learning_rate, allow_negative_numbers = true)]
    pub learning_rate: Option<f64>,
    /// Where the training pictures are now [default: where they were]
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Go on though training pictures have changed, are gone or came: with those that are there
    #[arg(long)]
    pub accept_changes: bool,
    /// Where to compute; another device rounds differently [default: the run's]
    #[arg(long, value_name = "DEVICE", ignore_case = true)]
    pub device: Option<DeviceChoice>,
    /// Threads of the CPU device [default: one per core]
    #[arg(long, value_name = "T", value_parser = whole_number(1, 1024), allow_negative_numbers = true)]
    pub threads: Option<u64>,
    /// Which GPU: its number in `devices`, or part of its name [default: the run's]
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Time (30s, 5m, 1h) or steps (500) between two checkpoints [default: the run's]
    #[arg(long, value_name = "EVERY", allow_negative_numbers = true)]
    pub checkpoint_every: Option<Every>,
    /// How many checkpoints to keep, the newest [default: the run's]
    #[arg(long, value_name = "N", value_parser = whole_number(1, 1_000_000), allow_negative_numbers = true)]
    pub keep_checkpoints: Option<u64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub live: LiveArgs,
    /// Print the run directory and nothing else
    #[arg(long)]
    pub quiet: bool,
}

/// Goes on with a run, as if it had never been interrupted; of several ranks the first does.
pub fn run(args: &ResumeArgs) -> Result<()> {
    let ranks = Ranks::open(&args.ranks)?;
    let result = match ranks.rank() {
        0 => lead(args, ranks.clone()),
        _ => follow(&ranks, |settings| device_args(settings, args)),
    };
    ranks.close(result)
}

fn lead(args: &ResumeArgs, ranks: Ranks) -> Result<()> {
    let live = listen(&args.live)?;
    let run = RunDirectory::open(&args.run)?;
    let checkpoint = Checkpoints::new(run.checkpoints(), usize::MAX).newest()?;
    let mut settings: Config = toml::from_str(&checkpoint.state.settings).map_err(|e| {
        Error::failure(format!("{}: the settings in it: {}", checkpoint.path.display(), e.message()))
    })?;
    run.check_config(&settings)?;
    let version = env!("CARGO_PKG_VERSION");
    if settings.version != version {
        note(&format!(
            "the run was begun by version {} and goes on with version {version}: from here on its numbers may differ",
            settings.version
        ));
    }
    let step = checkpoint.state.step;
    let args = &among(&ranks, args, &settings)?;
    change(&mut settings, args, step);
    lengthen(&mut settings, args)?;
    if step >= settings.steps {
        return Err(Error::Usage(format!(
            "{} is finished: all its {step} steps are done; make it longer with --epochs, --steps or --images",
            run.path().display()
        )));
    }
    if let Some(every) = args.checkpoint_every {
        settings.checkpoint_every = every.to_string();
    }
    if let Some(keep) = args.keep_checkpoints {
        settings.keep_checkpoints = keep as usize;
    }
    let manifest = run.manifest()?;
    let Reopened { data, changes } = settings.data.reopen(
        manifest.as_ref(),
        args.data.as_deref(),
        args.accept_changes,
        &Listening::default(),
    )?;
    if let Some(changes) = changes {
        if changes.is_none() {
            note(&format!("{changes}: others of their classes take their places"));
        } else {
            note(&format!(
                "the training pictures have changed: {changes}; the run goes on with those that are there, and is no \
                 longer the one that it would have been"
            ));
            run.write_manifest(&data)?;
        }
    }
    let DataRecord { path, images, sha256, .. } = data.record().clone();
    settings.data = DataRecord { path, images, sha256, ..settings.data };
    let device = Device::open(&ranks.device(&device_args(&mut settings, args)?))?;
    go_on(args, &run, settings, &device, &checkpoint, &data, (live, ranks))
}

/// The flags as one rank alone would be given them: micro-batches of a whole step, if those change. Errors when ranks cannot
/// share them evenly.
fn among(ranks: &Ranks, args: &ResumeArgs, settings: &Config) -> Result<ResumeArgs> {
    let mut args = args.clone();
    if args.ranks.distributed {
        let asked = args.accumulate.map(|each| each * ranks.count() as u64);
        args.accumulate = asked.filter(|asked| *asked != settings.accumulate);
    }
    ranks.check_shares(args.accumulate.unwrap_or(settings.accumulate))?;
    Ok(args)
}

/// Changes what the flags ask for, from `step` on, and writes down what was before.
fn change(settings: &mut Config, args: &ResumeArgs, step: u64) {
    let batch_size = args.batch_size.map_or(settings.batch_size, |size| size as usize);
    let accumulate = args.accumulate.unwrap_or(settings.accumulate);
    let learning_rate = args.learning_rate.unwrap_or(settings.learning_rate);
    if args.batch_size.is_none() && args.accumulate.is_none() && args.learning_rate.is_none() {
        return;
    }
    settings.changes.push(Change {
        step,
        images: settings.images_seen(step),
        batch_size: settings.batch_size,
        accumulate: settings.accumulate,
        learning_rate: settings.learning_rate,
    });
    (settings.batch_size, settings.accumulate, settings.learning_rate) =
        (batch_size, accumulate, learning_rate);
}

/// The recipe of the checkpoint with the flags in it.
fn configure(args: &ResumeArgs, mut config: GanConfig, steps: u64) -> GanConfig {
    if let Some(batch_size) = args.batch_size {
        config.batch_size = batch_size as usize;
    }
    if let Some(accumulate) = args.accumulate {
        config.accumulate = accumulate;
    }
    if let Some(rate) = args.learning_rate {
        config.generator_optimiser = config.generator_optimiser.with_learning_rate(rate);
        config.discriminator_optimiser = config.discriminator_optimiser.with_learning_rate(rate);
    }
    config.steps(steps)
}

/// Adds to the length of the run what the flags ask for.
fn lengthen(settings: &mut Config, args: &ResumeArgs) -> Result<()> {
    let images = args.images.or(args.epochs.map(|epochs| epochs * settings.data.images as u64));
    let per_step = settings.images_per_step();
    let more = args.steps.or(images.map(|images| images.div_ceil(per_step))).unwrap_or_default();
    let steps = settings.steps.checked_add(more).filter(|steps| *steps <= i64::MAX as u64 / per_step);
    settings.steps = steps.ok_or_else(|| Error::usage("a run cannot be that long"))?;
    settings.images = settings.images_seen(settings.steps);
    Ok(())
}

/// The device that the run had, where the flags name no other.
fn device_args(settings: &mut Config, args: &ResumeArgs) -> Result<DeviceArgs> {
    let same = args.device.is_none();
    let device = match (args.device, settings.device.as_str()) {
        (Some(device), _) => device,
        (None, _) if args.adapter.is_some() => DeviceChoice::Gpu,
        (None, "cpu") => DeviceChoice::Cpu,
        (None, "gpu") => DeviceChoice::Gpu,
        (None, "reference") => DeviceChoice::Reference,
        (None, other) => {
            return Err(Error::failure(format!("the run was trained on '{other}', which is no device")));
        }
    };
    let adapter = args.adapter.clone().or(if same { settings.adapter.clone() } else { None });
    settings.adapter.clone_from(&adapter);
    Ok(DeviceArgs { device, threads: args.threads, adapter })
}

fn go_on(
    args: &ResumeArgs,
    run: &RunDirectory,
    mut settings: Config,
    device: &Device,
    checkpoint: &Checkpoint,
    data: &DataSet,
    (live, ranks): (Option<Listener>, Ranks),
) -> Result<()> {
    let was = std::mem::replace(&mut settings.device_description, device.describe());
    let tiles_were = std::mem::replace(&mut settings.tiles, device.tiles());
    settings.device = device.name().into();
    settings.threads = device.threads();
    let gan = GanConfig::of_file(&checkpoint.model).and_then(|config| {
        let mut gan = Gan::new(device, configure(args, config, settings.steps))?;
        gan.restore(&checkpoint.model)?;
        Ok(gan)
    });
    let mut gan = gan.map_err(|e| Error::failure(format!("{}: {e}", checkpoint.path.display())))?;
    if settings.changes.last().is_some_and(|change| change.step == checkpoint.state.step) {
        settings.model = gan.config().to_toml()?.parse().map_err(Error::failure)?;
    }
    settings.model.insert("steps".into(), toml::Value::Integer(settings.steps as i64));
    let (step, steps, per_step) = (checkpoint.state.step, settings.steps, settings.images_per_step());
    if !args.quiet {
        let (preset, device, path) = (&settings.preset, device.describe(), run.path().display());
        say(&format!(
            "{preset}: on from step {step} to {steps}, {per_step} images each, on {device}, in {path}"
        ));
        if args.data.is_some() || args.accept_changes {
            describe(data);
        }
        if device != was {
            note(&format!("the run was on {was} before"));
        } else if let (Some(were), Some(are)) = (&tiles_were, &settings.tiles)
            && were != are
        {
            note(&format!(
                "tiles of products were {were} before and are {are}: steps take another time and have the same results"
            ));
        }
        if gan.config().schedule.needs_length()
            && (args.epochs, args.steps, args.images) != (None, None, None)
        {
            note("the learning rates follow their schedule over the new length from here on");
        }
    }
    ranks.begin(&settings, &mut gan, data, device)?;
    let batches = ranks.batches(batches_of(&gan, data, 0)?);
    let interrupt = Interrupt::listen(args.quiet)?;
    let mut watching = observers(run, &settings, data, gan.classes().is_some(), args.quiet)?;
    if let Some(listener) = live {
        // Last: it shows what the others have written.
        watching.push(Box::new(Live::start(listener, run, &settings, &interrupt, args.quiet)?));
    }
    let parts = Setup {
        run,
        disk: &Os,
        settings: settings.clone(),
        gan,
        batches,
        ranks,
        observers: watching,
        interrupt,
        quiet: args.quiet,
    };
    let session = Session::resume(parts, checkpoint)?;
    // After the checkpoint that says the same: this file is for people.
    run.write_config(&settings)
        .map_err(|e| Error::failure(format!("{e}; go on with `{}`", resume_command(run.path()))))?;
    report(run, data.record(), &session.run()?, args.quiet)
}
