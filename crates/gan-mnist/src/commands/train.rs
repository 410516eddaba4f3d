//! `gan-mnist train`: from a preset to a run directory.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use gannet::recipe::Capacity;
use gannet::tensor_file::TensorFile;
use gannet::{Backend, Gan, GanConfig};
use gannet_data::{DataRecord, DataSet, NamedSet};

use crate::arguments::{
    DEFAULT_PRESET, DataArgs, DeviceArgs, Every, LiveArgs, RankArgs, capacity, learning_rate, minutes,
    preset, whole_number,
};
use crate::data::{batches_of, check_fit, fit_classes, images_of, name_classes};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::evaluation::{self, ClassifierFile, Compared};
use crate::live::Live;
use crate::ranks::Ranks;
use crate::recipe::{self, Following, Recipe, check_inputs};
use crate::run::{BEST, Config, MODEL, MetricsSettings, OnCollapse, Os, REAL, RunDirectory};
use crate::server::Listener;
use crate::terminal::{Listening, counted, duration, note, program, resume_command, say, shell_word};
use crate::training::{
    self, End, Interrupt, Outcome, Pace, Session, Setup, follow, image_shape, observers, real_grid, steps_in,
};

/// The flags of `train`.
#[derive(Debug, Clone, Args)]
pub struct TrainArgs {
    /// What to train [default: networks made for your own pictures with --data, cdcgan for digits]
    #[arg(long, value_name = "PRESET", value_parser = preset())]
    pub preset: Option<String>,
    /// What to train instead: a model file, such as `presets NAME` prints
    #[arg(long, value_name = "FILE.toml", conflicts_with = "preset")]
    pub model: Option<PathBuf>,
    /// Begin from what another run has learnt: its directory, or a model.safetensors. Its networks are trained, unless
    /// --preset or --model names others; what does not fit begins anew
    #[arg(long, value_name = "RUN|MODEL")]
    pub from: Option<PathBuf>,
    /// How large networks that are made for your own pictures are [default: medium, or what --minutes allows]
    #[arg(long, value_name = "CAPACITY", value_parser = capacity())]
    pub capacity: Option<Capacity>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub data: DataArgs,
    /// Mirror half of the training images, drawn anew each time they are seen
    #[arg(long)]
    pub flip: bool,
    /// How often to see every training image [default: 1, where the model file says nothing]
    #[arg(long, value_name = "N", group = "length", value_parser = whole_number(1, 100_000), allow_negative_numbers = true)]
    pub epochs: Option<u64>,
    /// How many training steps to take
    #[arg(long, value_name = "N", group = "length", value_parser = whole_number(1, 1_000_000_000), allow_negative_numbers = true)]
    pub steps: Option<u64>,
    /// How many training images to see, rounded up to whole steps
    #[arg(long, value_name = "N", group = "length", value_parser = whole_number(1, 1_000_000_000_000), allow_negative_numbers = true)]
    pub images: Option<u64>,
    /// How many minutes to train: as many steps as this machine makes in them, which is measured first and kept
    #[arg(long, value_name = "M", group = "length", value_parser = minutes, allow_negative_numbers = true)]
    pub minutes: Option<f64>,
    /// Images per step, or in each micro-batch of one [default: the preset's]
    #[arg(long, value_name = "B", value_parser = whole_number(1, 4096), allow_negative_numbers = true)]
    pub batch_size: Option<u64>,
    /// Make each step of so many micro-batches, in the memory of one: their gradients are added, so that a step sees A times as
    /// many images [default: 1, or what the model file says]
    #[arg(long, value_name = "A", value_parser = whole_number(1, 4096), allow_negative_numbers = true)]
    pub accumulate: Option<u64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub ranks: RankArgs,
    /// Adam's learning rate at the start [default: the preset's]
    #[arg(long, value_name = "RATE", value_parser = learning_rate, allow_negative_numbers = true)]
    pub learning_rate: Option<f64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
    /// What all random numbers follow from [default: 42, or what the model file says]
    // A model file, which is TOML, has no higher numbers.
    #[arg(long, value_name = "SEED", value_parser = whole_number(0, i64::MAX as u64), allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// The run directory to create [default: runs/NAME-N, N counting up]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Steps between two sample grids [default: a tenth of the run]
    #[arg(long, value_name = "N", value_parser = whole_number(1, 1_000_000_000), allow_negative_numbers = true)]
    pub sample_every: Option<u64>,
    /// Time (30s, 5m, 1h) or steps (500) between two checkpoints; one at the end there is anyway
    #[arg(long, value_name = "EVERY", default_value = "60s", allow_negative_numbers = true)]
    pub checkpoint_every: Every,
    /// How many checkpoints to keep, the newest
    #[arg(long, value_name = "N", default_value = "2", value_parser = whole_number(1, 1_000_000), allow_negative_numbers = true)]
    pub keep_checkpoints: u64,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub metrics: MetricsArgs,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub live: LiveArgs,
    /// Print the run directory and nothing else
    #[arg(long)]
    pub quiet: bool,
}

/// The flags of `train` that say what is measured.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// Steps between two lines of metrics.jsonl [default: 50, or a twentieth of a shorter run]
    #[arg(long, value_name = "N", value_parser = whole_number(1, 1_000_000_000), allow_negative_numbers = true)]
    pub log_every: Option<u64>,
    /// Steps between two evaluations, into metrics.jsonl and the report; the model that scores best is kept as
    /// best.safetensors [default: none]
    #[arg(long, value_name = "N", value_parser = whole_number(1, 1_000_000_000), allow_negative_numbers = true)]
    pub evaluate_every: Option<u64>,
    /// Images that each of them scores; such scores cannot be compared with those of another number [default: 2000, or as many
    /// as there are training images to score beside them]
    #[arg(long, value_name = "N", value_parser = whole_number(10, 60_000), allow_negative_numbers = true)]
    pub evaluate_count: Option<u64>,
    /// The classifier whose features evaluations compare, of `train-classifier` [default: for digits the embedded one, else one
    /// that learns from the pictures first]
    #[arg(long, value_name = "FILE.safetensors")]
    pub classifier: Option<PathBuf>,
    /// What to do when the generator collapses, or when losses are beyond reason or no longer finite
    #[arg(long, value_name = "WHAT", default_value = "warn", ignore_case = true)]
    pub on_collapse: OnCollapse,
}

impl MetricsArgs {
    /// What the evaluations of a run need. Errors unless they can be made, which is better known before a run than hours later.
    fn evaluations(&self, data: &DataSet, seed: u64, quiet: bool) -> Result<Evaluations> {
        let classifier = self.classifier.as_deref().map(ClassifierFile::read).transpose()?;
        let fits = |file| evaluation::check_fits(file, &data.name(), data.images().as_ref());
        if let Some(named) = &classifier {
            fits(named)?;
        }
        if self.evaluate_every.is_none() {
            let count = self.evaluate_count.unwrap_or(DEFAULT_EVALUATE_COUNT as u64);
            return Ok(Evaluations { classifier, count });
        }
        let test = data.record().open_test(&Listening::default())?;
        let (train, tested) = Compared::sizes(data.len(), test.as_ref().map(DataSet::len));
        let count = self.evaluate_count.unwrap_or(train.min(DEFAULT_EVALUATE_COUNT) as u64);
        evaluation::check_counts(count as usize, train, tested)?;
        if classifier.is_some() || fits(&ClassifierFile::embedded()).is_ok() {
            return Ok(Evaluations { classifier, count });
        }
        let cpu = Device::cpu()?;
        let compared = Compared::of(data, test.as_ref(), seed)?;
        let classifier = Some(evaluation::learn_unknown(&cpu, &compared, seed, quiet)?);
        Ok(Evaluations { classifier, count })
    }

    /// The settings of a run of `steps` steps.
    fn settings(&self, steps: u64, Evaluations { classifier, count }: &Evaluations) -> MetricsSettings {
        MetricsSettings {
            log_every: self.log_every.unwrap_or(50.min(steps.div_ceil(20))).max(1),
            evaluate_every: self.evaluate_every,
            evaluate_count: *count,
            classifier: classifier.as_ref().map(|file| file.name.clone()),
            classifier_sha256: classifier.as_ref().map(|file| file.sha256.clone()),
            on_collapse: self.on_collapse,
        }
    }
}

/// What the evaluations of a run need.
struct Evaluations {
    /// The classifier of the run's own: the one that the flags name, or one that learnt from the images where the embedded one
    /// is for others.
    classifier: Option<ClassifierFile>,
    /// Images that each of them scores.
    count: u64,
}

/// Images that an evaluation in training scores where there are as many and nothing says otherwise.
const DEFAULT_EVALUATE_COUNT: usize = 2000;

/// What random numbers follow from where nothing says otherwise.
const DEFAULT_SEED: u64 = 42;

/// Steps that take less are not what a run takes.
const SHORT: Duration = Duration::from_secs(10);

/// Where runs go by default.
const RUNS: &str = "runs";

/// Trains what the flags ask for and writes a run directory; of several ranks the first does.
pub fn run(args: &TrainArgs) -> Result<()> {
    let ranks = Ranks::open(&args.ranks)?;
    let result = match ranks.rank() {
        0 => lead(args, ranks.clone()),
        _ => follow(&ranks, |_| Ok(args.device.clone())),
    };
    ranks.close(result)
}

fn lead(args: &TrainArgs, ranks: Ranks) -> Result<()> {
    // First of all, so that a port in use is known before any work.
    let live = listen(&args.live)?;
    if args.follows_pictures() {
        return run_for_pictures(args, None, Beside { from: None, live, ranks });
    }
    let from = args.from.as_deref().map(learnt).transpose()?;
    let mut config = match &from {
        Some((path, file)) if args.preset.is_none() && args.model.is_none() => GanConfig::of_file(file)
            .and_then(|config| Ok((config.inputs()?, config.steps(None))))
            .map_err(|e| e.to_string())
            .and_then(|(inputs, config)| check_inputs(&inputs).map(|()| config))
            .map_err(|e| Error::failure(format!("cannot begin from {}: {e}", path.display())))?,
        _ => match recipe::read(args.preset.as_deref().unwrap_or(DEFAULT_PRESET), args.model.as_deref())? {
            Recipe::Plain(config) => *config,
            Recipe::Following(following) => {
                return run_for_pictures(args, Some(&following), Beside { from, live, ranks });
            }
        },
    };
    if args.capacity.is_some() {
        return Err(Error::Usage(
            "--capacity is for networks that are made for their pictures: it goes with --data alone, or with a model file that follows them"
                .into(),
        ));
    }
    if let Some(seed) = args.seed {
        config.seed = seed;
    }
    // Unpacking takes about as long as finding a device: both at once.
    let loading = {
        let (data, seed, flip) = (args.data.or_named_after(&config.name), config.seed, args.flip);
        let model = images_of(&config)?;
        thread::spawn(move || data.open(model, seed).map(|data| data.with_flip(flip)))
    };
    let device = Device::open(&ranks.device(&args.device))?;
    let data = loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let config = configure(args, &ranks, &Pace::new(&device), config, &data)?;
    train(args, &device, config, data, Beside { from, live, ranks })
}

/// Listens where the page of a run is to be, if there is to be one.
pub(super) fn listen(args: &LiveArgs) -> Result<Option<Listener>> {
    args.live.map(|port| Listener::bind("--live", port)).transpose()
}

/// A model and where it was read.
type Learnt = (PathBuf, TensorFile);

/// What is beside the recipe and the data of a run.
struct Beside {
    /// What it begins from, if not from nothing.
    from: Option<Learnt>,
    /// Where its page is served, if it is.
    live: Option<Listener>,
    /// The processes that share it.
    ranks: Ranks,
}

/// The model of a run directory or of a file.
fn learnt(path: &Path) -> Result<Learnt> {
    let path = if path.is_dir() { path.join(MODEL) } else { path.to_path_buf() };
    let file = TensorFile::read(&path).map_err(|e| Error::failure(format!("cannot begin from {e}")))?;
    Ok((path, file))
}

impl TrainArgs {
    /// Whether networks are made for the pictures, instead of pictures for a network.
    fn follows_pictures(&self) -> bool {
        let own = self.data.data.is_some() || self.data.dataset == Some(NamedSet::Cifar10);
        own && self.preset.is_none() && self.model.is_none() && self.from.is_none()
    }
}

/// Trains networks that are made for the pictures, as `asked` says if there is such a thing, from what others have learnt.
fn run_for_pictures(args: &TrainArgs, asked: Option<&Following>, beside: Beside) -> Result<()> {
    let device = Device::open(&beside.ranks.device(&args.device))?;
    let seed = args.seed.unwrap_or(DEFAULT_SEED);
    let data = training::open(args.data.request(seed), training::longest_side(&device))?.with_flip(args.flip);
    let pace = Pace::new(&device);
    let config = training::choose(&pace, &data, asked, args.capacity, args.minutes)?.seed(seed);
    let ranks = &beside.ranks;
    let config = configure(args, ranks, &pace, config, &data)?;
    if !args.quiet {
        let steps = config.steps.unwrap_or(1);
        let took = Duration::from_secs_f64(pace.seconds_per_step(&ranks.part_of(&config))? * steps as f64);
        let (name, why, images) = (&config.name, &config.description, steps * config.images_per_step());
        // What comes before and after the steps takes longer then.
        let took = if took < SHORT { "a few seconds".into() } else { format!("about {}", duration(took)) };
        say(&format!("{name}: {why}; {} in {took}", counted(images, "image")));
    }
    train(args, &device, config, data, beside)
}

/// The recipe for these images with the flags in it; its `steps` are set.
fn configure(
    args: &TrainArgs,
    ranks: &Ranks,
    pace: &Pace<'_, Device>,
    config: GanConfig,
    data: &DataSet,
) -> Result<GanConfig> {
    // A preset takes the classes of its data; a model file means what it says.
    let mut config = if args.model.is_none() { fit_classes(config, data)? } else { config };
    if let Some(batch_size) = args.batch_size {
        config.batch_size = batch_size as usize;
    }
    config.accumulate = ranks.micro_batches(args.accumulate, config.accumulate)?;
    if let Some(rate) = args.learning_rate {
        config.generator_optimiser = config.generator_optimiser.with_learning_rate(rate);
        config.discriminator_optimiser = config.discriminator_optimiser.with_learning_rate(rate);
    }
    let asked = args.images.or(args.epochs.map(|epochs| epochs * data.len() as u64));
    let steps_of = |images: u64| images.div_ceil(config.images_per_step());
    let in_time = args.minutes.map(|minutes| steps_in(pace, &ranks.part_of(&config), minutes));
    let in_time = in_time.transpose()?;
    // A model file may say how long it trains.
    let steps = args.steps.or(asked.map(steps_of)).or(in_time).or(config.steps);
    config.steps = Some(steps.unwrap_or_else(|| steps_of(data.len() as u64)));
    name_classes(&mut config, data)?;
    Ok(config)
}

fn train(
    args: &TrainArgs,
    device: &Device,
    config: GanConfig,
    data: DataSet,
    Beside { from, live, ranks }: Beside,
) -> Result<()> {
    let mut gan = Gan::new(device, config)?;
    check_fit(&gan, &data).map_err(|error| match (&args.preset, &args.data.data) {
        (Some(_), Some(_)) => {
            Error::failure(format!("{error}; without --preset networks are made for these pictures"))
        }
        _ => error,
    })?;
    let fresh = from.map(|(path, file)| begin_from(&mut gan, &path, &file)).transpose()?;
    gan.plans()?;
    image_shape(&gan)?;
    let evaluations = args.metrics.evaluations(&data, gan.config().seed, args.quiet)?;

    let run = match &args.out {
        Some(path) => RunDirectory::create(path)?,
        None => RunDirectory::create_next(Path::new(RUNS), &gan.config().name)?,
    };
    let beginning = Beginning { fresh, evaluations, live, ranks };
    let result = train_in(&run, args, device, gan, &data, beginning);
    if result.is_err() {
        // A run that has not begun is not in the way of the next try.
        run.remove_if_unbegun();
    }
    result
}

/// What a run begins with beside its model and its data.
struct Beginning {
    /// What is said of the weights of another model.
    fresh: Option<String>,
    evaluations: Evaluations,
    /// Where its page is to be, if there is to be one.
    live: Option<Listener>,
    ranks: Ranks,
}

/// Trains in this directory, which holds nothing yet.
fn train_in<B: Backend<Element = f32>>(
    run: &RunDirectory,
    args: &TrainArgs,
    device: &Device,
    mut gan: Gan<B>,
    data: &DataSet,
    Beginning { fresh, evaluations, live, ranks }: Beginning,
) -> Result<()> {
    let steps = gan.config().steps.unwrap_or_default();
    let sample_every = args.sample_every.unwrap_or(steps.div_ceil(10));
    let GanConfig { batch_size, accumulate, seed, .. } = *gan.config();
    let per_step = gan.config().images_per_step();
    let settings = Config {
        version: env!("CARGO_PKG_VERSION").into(),
        preset: gan.config().name.clone(),
        steps,
        images: steps * per_step,
        batch_size,
        accumulate,
        learning_rate: gan.config().generator_optimiser.learning_rate(),
        sample_every,
        checkpoint_every: args.checkpoint_every.to_string(),
        keep_checkpoints: args.keep_checkpoints as usize,
        seed,
        device: device.name().into(),
        adapter: args.device.adapter.clone(),
        device_description: device.describe(),
        tiles: device.tiles(),
        threads: device.threads(),
        command: command(),
        changes: Vec::new(),
        metrics: args.metrics.settings(steps, &evaluations),
        data: data.record().clone(),
        model: gan.config().to_toml()?.parse().map_err(Error::failure)?,
    };
    run.write_config(&settings)?;
    run.write_manifest(data)?;
    if let Some(classifier) = &evaluations.classifier {
        classifier.keep_in(run.path())?;
    }
    if !args.quiet {
        let (preset, device, run) = (&gan.config().name, device.describe(), run.path().display());
        let (length, mut images) = (counted(steps, "step"), counted(per_step, "image"));
        if accumulate > 1 {
            images.push_str(&format!(" in {accumulate} micro-batches"));
        }
        say(&format!("{preset}: {length} of {images} on {}, into {run}", ranks.on(&device)));
        if let Some(fresh) = &fresh {
            say(fresh);
        }
        describe(data);
    }
    write_real(run, data, seed, gan.classes().is_some());

    if let (None, Some(classes), false, Some(path)) =
        (gan.classes(), data.classes(), args.quiet, &data.record().path)
    {
        let (preset, path) = (&gan.config().name, path.display());
        let classes = counted(classes as u64, "class");
        note(&format!("{path} has {classes}; {preset} is told none, so they are not used"));
    }
    ranks.begin(&settings, &mut gan, data, device)?;
    let batches = ranks.batches(batches_of(&gan, data, 0)?);
    let interrupt = Interrupt::listen(args.quiet)?;
    let mut watching = observers(run, &settings, data, gan.classes().is_some(), args.quiet)?;
    if let Some(listener) = live {
        // Last: it shows what the others have written.
        watching.push(Box::new(Live::start(listener, run, &settings, &interrupt, args.quiet)?));
    }
    let session = Session::begin(Setup {
        run,
        disk: &Os,
        settings,
        gan,
        batches,
        ranks,
        observers: watching,
        interrupt,
        quiet: args.quiet,
    })?;
    report(run, data.record(), &session.run()?, args.quiet)
}

/// Takes the weights of another model, and says what begins anew.
fn begin_from<B: Backend>(gan: &mut Gan<B>, path: &Path, file: &TensorFile) -> Result<String> {
    let mut fresh = gan
        .begin_from(file)
        .map_err(|e| Error::failure(format!("cannot begin from {}: {e}", path.display())))?;
    fresh.retain(|name| !name.starts_with("ema/"));
    let anew = match &fresh[..] {
        [] => "all its weights fit".into(),
        fresh => {
            format!("{} not fit and begin{} anew", listed(fresh), if fresh.len() == 1 { "s" } else { "" })
        }
    };
    Ok(format!("from {}: {anew}; the optimisers begin anew", path.display()))
}

/// The first few of these names, and how many there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        1 => format!("{shown} does"),
        n if n <= SHOWN => format!("{shown} do"),
        n => format!("{shown} and {} more do", n - SHOWN),
    }
}

/// Says what the images are: pictures in one line, of other sets what people should know.
pub(super) fn describe(data: &DataSet) {
    match data.summary() {
        Some(summary) => say(&format!("data: {}", summary.line())),
        None => {
            let shape = data.shape();
            let colours = ["grey", "colour"][usize::from(shape.channels > 1)];
            let classes =
                data.classes().map_or(String::new(), |n| format!("; {}", counted(n as u64, "class")));
            let images = counted(data.len() as u64, "image");
            say(&format!(
                "data: {images} of {}, {}x{}, {colours}{classes}",
                data.name(),
                shape.width,
                shape.height
            ));
        }
    }
    data.notes().iter().for_each(|line| say(&format!("data: {line}")));
}

/// Writes training images as the networks see them. A run does not end for want of it.
pub(super) fn write_real(run: &RunDirectory, data: &DataSet, seed: u64, conditional: bool) {
    let written = real_grid(data, seed, conditional).and_then(|grid| grid.save_png(&run.path().join(REAL)));
    if let Err(error) = written {
        note(&format!("{error}; the run is not affected"));
    }
}

/// The command line of this process, as a shell takes it.
fn command() -> String {
    let words = std::env::args_os().skip(1).map(|word| shell_word(Path::new(&word)));
    std::iter::once("gan-mnist".into()).chain(words).collect::<Vec<_>>().join(" ")
}

/// The last lines: where everything is, and what to type next. An interruption is an error.
pub(super) fn report(run: &RunDirectory, data: &DataRecord, end: &End, quiet: bool) -> Result<()> {
    let path = run.path();
    let (step, steps) = (end.step, end.steps);
    if quiet {
        say(&path.display().to_string());
        return match end.outcome {
            Outcome::Interrupted => Err(Error::Interrupted(String::new())),
            Outcome::Stopped(_) => Err(Error::Stopped(String::new())),
            Outcome::Finished | Outcome::Failed(_) => Ok(()),
        };
    }
    match &end.outcome {
        Outcome::Interrupted => {
            let next = resume_command(path);
            return Err(Error::Interrupted(format!(
                "interrupted and saved after step {step} of {steps}; go on with `{next}`"
            )));
        }
        Outcome::Stopped(_) | Outcome::Finished | Outcome::Failed(_) => {}
    }
    let (done, took) = (step - end.began_at_step, end.took);
    let rate = done as f64 / took.as_secs_f64();
    say(&format!("{} in {}, {rate:.1} steps/s with everything", counted(done, "step"), duration(took)));
    for (what, name) in [
        ("pictures", "samples.png"),
        ("", "samples/"),
        ("model", crate::run::MODEL),
        ("", "samples.gif"),
        ("real ones", "real.png"),
        ("losses", "losses.csv"),
        ("metrics", "metrics.jsonl"),
        ("report", "report.html"),
        ("settings", "config.toml"),
    ] {
        say(&format!("{what:9} {}", path.join(name).display()));
    }
    if path.join(BEST).exists() {
        say(&format!("{:9} {} (the lowest Frechet distance)", "best one", path.join(BEST).display()));
    }
    if let Some(path) = &end.before_collapse {
        say(&format!("{:9} {} (from before the collapse)", "good one", path.display()));
    }
    let digits = matches!(data.dataset.as_deref(), Some("mnist" | "colour" | "emnist-digits"));
    let out = if digits { "digits.png" } else { "images.png" };
    say(&format!("{:9} {} generate {} --count 20 --out {out}", "next", program(), shell_word(path)));
    match &end.outcome {
        Outcome::Stopped(reason) => Err(Error::Stopped(format!(
            "stopped after step {step} of {steps}: {reason}. `{} --learning-rate RATE` goes on more slowly",
            resume_command(path)
        ))),
        _ => Ok(()),
    }
}
