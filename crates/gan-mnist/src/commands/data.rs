//! `gan-mnist data`: what a set of images holds, and what training makes of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gannet::{Backend, Gan};
use gannet_data::DataSet;
use gannet_data::files::PendingFile;

use crate::arguments::{DataArgs, DeviceArgs, check_ending, preset, whole_number};
use crate::data::{check_fit, fit_classes, images_of};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::recipe::{self, Following, Recipe};
use crate::terminal::{counted, duration, note, program, say, shell_word};
use crate::training::{self, Pace, real_grid};

/// The flags of `data`.
#[derive(Debug, Clone, Args)]
pub struct DataCommandArgs {
    /// The folder, archive, array or file of images
    pub path: PathBuf,
    /// For which preset [default: for the networks that `train --data PATH` makes]
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
    check_ending("--out", &args.out, "png")?;
    if args.data.data.is_some() || args.data.dataset.is_some() {
        return Err(Error::usage("data takes its path without a flag; leave out --data and --dataset"));
    }
    let flags = DataArgs { data: Some(args.path.clone()), ..args.data.clone() };
    let named = args.preset.is_some() || args.model.is_some();
    let recipe = match named {
        true => recipe::read(args.preset.as_deref().unwrap_or_default(), args.model.as_deref())?,
        false => Recipe::Following(Following::preset()),
    };
    let device = Device::open(&args.device)?;
    let data = match &recipe {
        Recipe::Plain(config) => flags.open(images_of(config)?, args.seed)?,
        Recipe::Following(_) => training::open(flags.request(args.seed), training::longest_side(&device))?,
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
    match estimate(args, &device, recipe, &data) {
        Ok(Estimate { name, batch, steps, step }) => {
            say(&format!(
                "estimate     {name}: {} of {batch} images, about {} on {}",
                counted(steps, "step"),
                duration(step.mul_f64(steps as f64)),
                device.describe()
            ));
            let what = match (&args.model, &args.preset) {
                (Some(model), _) => format!(" --model {}", shell_word(model)),
                (None, Some(preset)) => format!(" --preset {preset}"),
                (None, None) => String::new(),
            };
            let flags = flags.shaping();
            say(&format!("next         {} train{what} --data {}{flags}", program(), shell_word(&args.path)));
        }
        Err(error) => say(&format!("estimate     none: {error}")),
    }
    Ok(())
}

/// What a run takes.
struct Estimate {
    name: String,
    batch: u64,
    steps: u64,
    step: Duration,
}

/// What a run of the recipe takes, or of the one that would be made for the images.
fn estimate<B: Backend<Element = f32>>(
    args: &DataCommandArgs,
    backend: &B,
    recipe: Recipe,
    data: &DataSet,
) -> Result<Estimate> {
    let pace = Pace::new(backend);
    let config = match recipe {
        Recipe::Plain(config) if args.model.is_some() => *config,
        Recipe::Plain(config) => fit_classes(*config, data)?,
        Recipe::Following(following) => {
            let asked = (args.preset.is_some() || args.model.is_some()).then_some(following);
            training::choose(&pace, data, asked.as_ref(), None, None)?
        }
    };
    let once = (data.len() as u64).div_ceil(config.images_per_step());
    let steps = config.steps.unwrap_or(once);
    let config = config.seed(args.seed).steps(steps);
    check_fit(&Gan::new(backend, config.clone())?, data)?;
    let step = Duration::from_secs_f64(pace.seconds_per_step(&config)?);
    Ok(Estimate { batch: config.images_per_step(), name: config.name, steps, step })
}
