//! `gan-mnist evaluate`: how good a model's images are, beside real ones.

use std::time::Instant;

use gannet::metrics::quantise;
use gannet::{Backend, Gan};
use serde::Serialize;

use crate::cli::EvaluateArgs;
use crate::data::{LabelledImages, mnist};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::evaluation::{Evaluator, FeaturesUsed, MemorisationScores, Scores, TrainedOn};
use crate::features::ClassifierFile;
use crate::output::{note, say};
use crate::run_directory::MODEL;
use crate::training::{classes_in_turn, image_shape};

/// The result, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    /// The number of generated images, and of training images in the floor.
    count: usize,
    seed: u64,
    dataset: &'static str,
    /// The number of test images that both are compared with.
    test_images: usize,
    features: FeaturesUsed,
    generated: Scores,
    /// Training images instead of generated ones.
    floor: Scores,
    memorisation: MemorisationScores,
    train_on_synthetic: Option<TrainedOn>,
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
    pool.install(|| match &device {
        Device::Cpu(cpu) => evaluate(args, cpu),
        Device::Gpu(gpu) => evaluate(args, gpu),
        Device::Reference(reference) => evaluate(args, reference),
    })
}

fn evaluate<B: Backend<Element = f32>>(args: &EvaluateArgs, backend: &B) -> Result<()> {
    let began = Instant::now();
    let path = if args.model.is_dir() { args.model.join(MODEL) } else { args.model.clone() };
    let mut gan = Gan::load(backend, &path)?;
    let file = match &args.classifier {
        Some(path) => ClassifierFile::read(path)?,
        None => ClassifierFile::embedded(),
    };
    let (train, test) = (mnist::load(mnist::Split::Train)?, mnist::load(mnist::Split::Test)?);
    check_fit(&gan, &train)?;
    let (count, test_images) = (args.count as usize, test.len());
    let asked = gan.classes().map(|classes| classes_in_turn(count, classes));
    if args.train_on_synthetic && asked.is_none() {
        return Err(Error::usage(
            "--train-on-synthetic does not fit: the model has no classes, so its images have no labels to train on",
        ));
    }
    let mut evaluator = Evaluator::new(backend, &file, train, test, count, args.seed)?;
    let images = gan.generate(&gan.latents(count, args.seed), asked.as_deref())?;
    let images: Vec<u8> = images.into_iter().map(quantise).collect();
    // There are as many classes as the data set has, whose labels are bytes.
    let asked: Option<Vec<u8>> = asked.map(|asked| asked.into_iter().map(|class| class as u8).collect());
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
    let report = Report {
        model: path.display().to_string(),
        count,
        seed: args.seed,
        dataset: "MNIST",
        test_images,
        features: evaluator.features().clone(),
        generated,
        floor: evaluator.floor().clone(),
        memorisation,
        train_on_synthetic,
        seconds: began.elapsed().as_secs_f64(),
    };
    if args.json {
        say(&serde_json::to_string(&report).map_err(Error::failure)?);
    } else {
        table(&report).iter().for_each(|line| say(line));
    }
    Ok(())
}

/// Errors unless the model makes images like those of the data set.
fn check_fit<B: Backend>(gan: &Gan<B>, data: &LabelledImages) -> Result<()> {
    let (made, needed) = (image_shape(gan)?, data.shape());
    if made != needed {
        return Err(Error::failure(format!(
            "the model makes images of {}x{}x{}, the data set has {}x{}x{}",
            made.height, made.width, made.channels, needed.height, needed.width, needed.channels
        )));
    }
    match gan.classes() {
        Some(classes) if classes != data.classes() => {
            Err(Error::failure(format!("the model has {classes} classes, the data set {}", data.classes())))
        }
        _ => Ok(()),
    }
}

/// The report for people.
fn table(report: &Report) -> Vec<String> {
    let Report { generated, floor, memorisation, features, .. } = report;
    let mut lines = vec![
        format!(
            "{}: {} images, bytes, against {} test images of {}",
            report.model, report.count, report.test_images, report.dataset
        ),
        format!(
            "features: {}, {:.2} % right on the test images, sha256 {}",
            features.name,
            100.0 * features.test_accuracy,
            &features.sha256[..16]
        ),
        String::new(),
        row("", "generated", "floor: training images"),
    ];
    let mut number = |name: &str, digits: usize, of: fn(&Scores) -> f64| {
        lines.push(row(name, &format!("{:.digits$}", of(generated)), &format!("{:.digits$}", of(floor))));
    };
    number("Frechet distance in classifier features", 2, |s| s.frechet_distance);
    number("kernel distance (KID) x 1000", 3, |s| 1e3 * s.kernel_distance);
    number("  its standard deviation x 1000", 3, |s| 1e3 * s.kernel_distance_std);
    number("precision", 3, |s| s.precision);
    number("recall", 3, |s| s.recall);
    number("density", 3, |s| s.density);
    number("coverage", 3, |s| s.coverage);
    number("class divergence (KL), nats", 4, |s| s.class_divergence);
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    if let (Some(accuracy), Some(real)) = (generated.class_accuracy, floor.class_accuracy) {
        lines.push(row("images in the class asked for", &percent(accuracy), &percent(real)));
    }
    let shares = |shares: &[f64]| {
        let range = shares.iter().fold((f64::MAX, 0f64), |(low, high), &s| (low.min(s), high.max(s)));
        format!("{:.1} to {:.1} %", 100.0 * range.0, 100.0 * range.1)
    };
    lines.push(row("classes, least to most", &shares(&generated.class_shares), &shares(&floor.class_shares)));
    if let Some(trained) = &report.train_on_synthetic {
        lines.push(row(
            "test accuracy of a classifier trained on them",
            &percent(trained.generated_accuracy),
            &percent(trained.real_accuracy),
        ));
    }
    let m = memorisation;
    lines.push(String::new());
    lines.push(row("memorisation", "generated", "floor: test images"));
    let levels = |distance: f64| format!("{distance:.1} levels");
    lines.push(row(
        "nearest training image, median",
        &levels(m.median_distance),
        &levels(m.test_median_distance),
    ));
    lines.push(row("nearest one stands out", &percent(m.copies), &percent(m.test_copies)));
    lines.push(row("byte for byte a training image", &percent(m.duplicates), &percent(m.test_duplicates)));
    if m.suspicious {
        lines.push("warning: there are more copies of training images than chance explains".into());
    }
    lines.push(format!("\n{:.1} s", report.seconds));
    lines
}

fn row(name: &str, generated: &str, floor: &str) -> String {
    format!("{name:<46}{generated:>16}{floor:>24}")
}
