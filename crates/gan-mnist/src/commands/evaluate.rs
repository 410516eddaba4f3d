//! `gan-mnist evaluate`: how good a model's images are, beside real ones.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use gannet::metrics::quantise;
use gannet::{Backend, Gan};
use gannet_data::files::write_whole;
use gannet_data::{Images, LabelledImages};
use serde::Serialize;

use super::generate::load;
use crate::arguments::{DataArgs, DeviceArgs, whole_number};
use crate::data::check_fit_images;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::evaluation::{
    ClassifierFile, Compared, Evaluator, ImageSet, LEAST, check_counts, check_fits, learn_unknown,
};
use crate::run::{CLASSIFIER, EVALUATION, Evaluation, run_of};
use crate::terminal::{note, say};
use crate::training::{classes_in_turn, image_shape};

/// The flags of `evaluate`.
#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    /// A model.safetensors, or the run directory that holds it
    #[arg(required_unless_present = "images", conflicts_with = "images")]
    pub model: Option<PathBuf>,
    /// Score these images instead of a model's: a .safetensors file with `images`, or a folder of PNG
    #[arg(long, value_name = "FILE|DIR")]
    pub images: Option<PathBuf>,
    /// How many images to score; scores of different numbers cannot be compared [default: 10000 or all of --images, at most as
    /// many as there are training images to score beside them]
    #[arg(long, value_name = "N", value_parser = whole_number(10, 60_000), allow_negative_numbers = true)]
    pub count: Option<u64>,
    /// What the latents and the choice of real images follow from
    #[arg(long, value_name = "SEED", default_value = "42", value_parser = whole_number(0, u64::MAX), allow_negative_numbers = true)]
    pub seed: u64,
    /// The classifier whose features are compared [default: the run's own, for digits the embedded one, else one that learns
    /// from the pictures first]
    #[arg(long, value_name = "FILE.safetensors")]
    pub classifier: Option<PathBuf>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub data: DataArgs,
    /// Train a classifier on the images and test it on real ones
    #[arg(long)]
    pub train_on_synthetic: bool,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// How many images of a model are scored without --count.
const DEFAULT_COUNT: usize = 10_000;

/// The result, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    /// The path of the model, or of the images.
    model: String,
    #[serde(flatten)]
    evaluation: Evaluation,
    seconds: f64,
}

/// Evaluates what the flags ask for.
pub fn run(args: &EvaluateArgs) -> Result<()> {
    let device = Device::open(&args.device)?;
    // The metrics themselves run on the CPU whatever the device; they take as many threads as were asked for.
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = args.device.threads {
        pool = pool.num_threads(threads as usize);
    }
    let pool = pool.build().map_err(Error::failure)?;
    pool.install(|| evaluate(args, &device))
}

/// What is scored.
struct Scored {
    /// The path of the model or of the images.
    name: String,
    /// [N, height, width, channels].
    pixels: Vec<u8>,
    /// The class asked for of each, or its label.
    asked: Option<Vec<u32>>,
}

impl Scored {
    fn draw<B: Backend<Element = f32>>(
        args: &EvaluateArgs,
        mut gan: Gan<B>,
        path: &Path,
        dataset: &str,
        data: &LabelledImages,
    ) -> Result<Self> {
        check_fit_images(&gan, dataset, data)?;
        let count = args.count.map_or(DEFAULT_COUNT.min(data.len()), |count| count as usize);
        let asked = gan.classes().map(|classes| classes_in_turn(count, classes));
        let images = gan.generate(&gan.latents(count, args.seed), asked.as_deref())?;
        Ok(Scored {
            name: path.display().to_string(),
            pixels: images.into_iter().map(quantise).collect(),
            asked,
        })
    }

    fn read(args: &EvaluateArgs, path: &Path, data: &LabelledImages) -> Result<Self> {
        let mut set = ImageSet::read(path, data.shape())?;
        let (found, path) = (set.len(data.shape()), path.display());
        let count = args.count.map_or(found.min(data.len()), |count| count as usize);
        if found < count.max(LEAST) {
            let needed = count.max(LEAST);
            return Err(Error::failure(format!("{path}: there are {found} images, {needed} are needed")));
        }
        if args.count.is_none() && count < found {
            note(&format!(
                "{path}: the first {count} of {found} images are scored, as many as there are training images"
            ));
        }
        set.truncate(count, data.shape());
        if let Some(classes) = data.classes()
            && let Some(label) = set.labels.iter().flatten().find(|&&label| label as usize >= classes)
        {
            let last = classes - 1;
            return Err(Error::failure(format!("{path}: the class {label} is none of 0 to {last}")));
        }
        Ok(Scored { name: path.to_string(), pixels: set.pixels, asked: set.labels })
    }
}

fn evaluate<B: Backend<Element = f32>>(args: &EvaluateArgs, backend: &B) -> Result<()> {
    let began = Instant::now();
    // A run on other images may have brought its own; the flags may name other images again.
    let run = args.model.as_deref().and_then(run_of).filter(|_| !args.data.chooses());
    let file = match (&args.classifier, run) {
        (Some(path), _) => Some(ClassifierFile::read(path)?),
        (None, Some(run)) => ClassifierFile::of_run(run)?,
        (None, None) => None,
    };
    let gan = match (&args.images, &args.model) {
        (Some(_), _) => None,
        (None, Some(path)) => Some((load(backend, path)?, path)),
        (None, None) => return Err(Error::usage("evaluate needs a model or --images")),
    };
    let model = gan.as_ref().map(|(gan, _)| image_shape(gan)).transpose()?;
    let compared = Compared::open(&args.data, args.model.as_deref(), model, args.seed)?;
    let (dataset, train) = (compared.name.clone(), &compared.train);
    if compared.halved {
        note(&format!(
            "{dataset} has no test images: one half of its images stands for them, the other for training images; a \
             model has seen both"
        ));
    }
    // What cannot be scored is known before it is drawn.
    check_counts(args.count.map_or(0, |count| count as usize), train.len(), compared.test.len())?;
    let Scored { name, pixels: images, asked } = match (gan, &args.images) {
        (Some((gan, path)), _) => Scored::draw(args, gan, path, &dataset, train)?,
        (None, Some(path)) => Scored::read(args, path, train)?,
        (None, None) => return Err(Error::usage("evaluate needs a model or --images")),
    };
    if args.train_on_synthetic && asked.is_none() {
        return Err(Error::usage(
            "--train-on-synthetic does not fit: the images have no classes, so no labels to train on",
        ));
    }
    let count = images.len() / train.shape().len();
    let file = match file {
        Some(file) => file,
        None => classifier_for(backend, &compared, run, args.seed)?,
    };
    let test_images = compared.test.len();
    let mut evaluator = Evaluator::new(backend, &file, compared, count, args.seed)?;
    let generated = evaluator.score(&images, asked.as_deref(), args.seed)?;
    let memorisation = evaluator.memorisation(&images)?;
    let train_on_synthetic = match asked.filter(|_| args.train_on_synthetic) {
        Some(asked) => {
            let mut tenths = 0;
            Some(evaluator.train_on_synthetic(backend, &images, &asked, args.seed, |share| {
                if share >= f64::from(tenths + 1) / 10.0 {
                    tenths = (share * 10.0) as u32;
                    note(&format!("training on synthetic and on real images: {} %", 10 * tenths));
                }
            })?)
        }
        None => None,
    };
    let evaluation = Evaluation {
        count,
        seed: args.seed,
        dataset,
        test_images,
        features: evaluator.features().clone(),
        generated,
        floor: evaluator.floor().clone(),
        memorisation: Some(memorisation),
        train_on_synthetic,
    };
    let report = Report { model: name, evaluation, seconds: began.elapsed().as_secs_f64() };
    if let Some(run) = args.model.as_deref().filter(|path| path.is_dir()) {
        keep(run, &report);
    }
    if args.json {
        say(&serde_json::to_string(&report).map_err(Error::failure)?);
    } else {
        table(&report).iter().for_each(|line| say(line));
    }
    Ok(())
}

/// The embedded classifier, or, where it is for other images, one that learns from these now; the run keeps it.
fn classifier_for<B: Backend<Element = f32>>(
    backend: &B,
    compared: &Compared,
    run: Option<&Path>,
    seed: u64,
) -> Result<ClassifierFile> {
    let embedded = ClassifierFile::embedded();
    if check_fits(&embedded, &compared.name, &compared.test).is_ok() {
        return Ok(embedded);
    }
    let file = learn_unknown(backend, compared, seed, false)?;
    if let Some(run) = run {
        match file.keep_in(run) {
            Ok(()) => note(&format!("kept as {} for the next time", run.join(CLASSIFIER).display())),
            Err(error) => note(&format!("it is not kept in the run directory: {error}")),
        }
    }
    Ok(file)
}

/// Keeps the scores of a run in its directory, for its report. That they cannot be kept there is no reason not to say
/// them.
fn keep(run: &Path, report: &Report) {
    let kept = serde_json::to_string_pretty(report)
        .map_err(Error::failure)
        .and_then(|text| Ok(write_whole(&run.join(EVALUATION), text.as_bytes())?));
    if let Err(error) = kept {
        note(&format!("the scores are not kept in the run directory: {error}"));
    }
}

/// The report for people.
fn table(report: &Report) -> Vec<String> {
    let Evaluation { count, test_images, dataset, features, memorisation, .. } = &report.evaluation;
    let mut lines = vec![
        format!("{}: {count} images, bytes, against {test_images} test images of {dataset}", report.model),
        format!("features: {}", features.describe()),
        String::new(),
        row(&["", "generated", "floor: training images"].map(String::from)),
    ];
    lines.extend(report.evaluation.rows().iter().map(row));
    if let Some(found) = memorisation {
        lines.push(String::new());
        lines.push(row(&["memorisation", "generated", "floor: test images"].map(String::from)));
        lines.extend(found.rows().iter().map(row));
        if found.suspicious {
            lines.push("warning: there are more copies of training images than chance explains".into());
        }
    }
    lines.push(format!("\n{:.1} s", report.seconds));
    lines
}

fn row([name, generated, floor]: &[String; 3]) -> String {
    format!("{name:<46}{generated:>16}{floor:>24}")
}
