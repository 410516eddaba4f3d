//! Scores of generated images, beside those of real ones.

use gannet::metrics::{
    ClassHistogram, Classified, Classifier, ClassifierTraining, FrechetStatistics, Kid, KidOptions, Manifold,
    Memorisation, Prdc,
};
use gannet::random::Stream;
use gannet::{Backend, Cpu};
use gannet_data::{DataSet, ImageShape, Images, LabelledImages};
use serde::{Deserialize, Serialize};

use crate::data::Compared;
use crate::error::{Error, Result};
use crate::features::ClassifierFile;

/// The neighbours that a ball around an image reaches to.
const NEIGHBOURS: usize = 5;

/// The test images that the memorisation check looks up, at most: their distances are only compared by median and share.
const LOOKED_UP: usize = 2000;

/// How often a classifier that is trained on generated images sees each of them.
const SYNTHETIC_EPOCHS: usize = 8;

/// Fewer images than this have no neighbourhoods.
pub const LEAST: usize = 10;

/// The images that the embedded classifier is shown before a run begins, and the share that it has to get right to be
/// taken for one that knows them.
const LOOKED_AT: usize = 1000;
const KNOWS: f64 = 0.5;

/// What to do without a classifier.
const HOW: &str =
    "`gan-mnist train-classifier` with the same --dataset or --data makes one, which --classifier takes";

/// The file in a run directory that holds what `evaluate` last said of it.
pub const EVALUATION: &str = "evaluation.json";

/// Scores of generated images beside those of real ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    /// The number of generated images, and of training images in the floor.
    pub count: usize,
    /// What the latents and the choice of real images follow from.
    pub seed: u64,
    /// The name of the data set.
    pub dataset: String,
    /// The number of test images that both are compared with.
    pub test_images: usize,
    /// What the scores are computed in.
    pub features: FeaturesUsed,
    /// Of the generated images.
    pub generated: Scores,
    /// Of training images.
    pub floor: Scores,
    /// Copies of training images, where they were looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memorisation: Option<MemorisationScores>,
    /// What a classifier learns from the images, where that was asked for.
    #[serde(default)]
    pub train_on_synthetic: Option<TrainedOn>,
}

/// Scores of one set of images against the test images.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    /// How many images were scored.
    pub images: usize,
    /// The Frechet distance in classifier features.
    pub frechet_distance: f64,
    /// The unbiased kernel distance in classifier features, mean over the subsets.
    pub kernel_distance: f64,
    /// Its standard deviation over the subsets.
    pub kernel_distance_std: f64,
    /// See [`Prdc`].
    pub precision: f64,
    /// See [`Prdc`].
    pub recall: f64,
    /// See [`Prdc`].
    pub density: f64,
    /// See [`Prdc`].
    pub coverage: f64,
    /// The share of each class, as the classifier sees it.
    pub class_shares: Vec<f64>,
    /// The Kullback-Leibler divergence of these shares from those of the test images, in nats.
    pub class_divergence: f64,
    /// The share of images that the classifier sees in the class that was asked for, or that their label says.
    pub class_accuracy: Option<f64>,
}

/// See [`Memorisation`]. Distances are in grey levels of 0 to 255.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemorisationScores {
    /// The median distance of a generated image to the nearest training image.
    pub median_distance: f64,
    /// The same of test images.
    pub test_median_distance: f64,
    /// The share of generated images that are much nearer to one training image than to any other.
    pub copies: f64,
    /// The same of test images.
    pub test_copies: f64,
    /// The share of generated images that are a training image, byte for byte.
    pub duplicates: f64,
    /// The same of test images.
    pub test_duplicates: f64,
    /// Whether there are more copies than chance explains.
    pub suspicious: bool,
}

/// How well a classifier does on the test images that was trained on other images.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrainedOn {
    /// The share it gets right after training on the generated images, in the classes asked for.
    pub generated_accuracy: f64,
    /// The share it gets right after training on as many real ones.
    pub real_accuracy: f64,
}

/// The features that the scores are computed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FeaturesUsed {
    /// The name of the classifier.
    pub name: String,
    /// The SHA-256 of its file.
    pub sha256: String,
    /// The share of the test images that it gets right, where those have classes.
    pub test_accuracy: Option<f64>,
}

impl FeaturesUsed {
    /// In words: name, accuracy, the beginning of the hash.
    pub fn describe(&self) -> String {
        let hash = self.sha256.get(..16).unwrap_or(&self.sha256);
        let accuracy = self.test_accuracy.map_or(String::new(), |accuracy| {
            format!("{:.2} % right on the test images, ", 100.0 * accuracy)
        });
        format!("{}, {accuracy}sha256 {hash}", self.name)
    }
}

/// A share as it is printed.
fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

impl Evaluation {
    /// The scores as rows of a table: what, of the generated images, of training images.
    pub fn rows(&self) -> Vec<[String; 3]> {
        let (generated, floor) = (&self.generated, &self.floor);
        let mut rows = Vec::new();
        let mut number = |name: &str, digits: usize, of: fn(&Scores) -> f64| {
            rows.push([
                name.into(),
                format!("{:.digits$}", of(generated)),
                format!("{:.digits$}", of(floor)),
            ]);
        };
        number("Frechet distance in classifier features", 2, |s| s.frechet_distance);
        number("kernel distance (KID) x 1000", 3, |s| 1e3 * s.kernel_distance);
        number("  its standard deviation x 1000", 3, |s| 1e3 * s.kernel_distance_std);
        number("precision", 3, |s| s.precision);
        number("recall", 3, |s| s.recall);
        number("density", 3, |s| s.density);
        number("coverage", 3, |s| s.coverage);
        number("class divergence (KL), nats", 4, |s| s.class_divergence);
        if let (Some(accuracy), Some(real)) = (generated.class_accuracy, floor.class_accuracy) {
            rows.push(["images in the class asked for".into(), percent(accuracy), percent(real)]);
        }
        let shares = |shares: &[f64]| {
            let range = shares.iter().fold((f64::MAX, 0f64), |(low, high), &s| (low.min(s), high.max(s)));
            format!("{:.1} to {:.1} %", 100.0 * range.0, 100.0 * range.1)
        };
        let name = "classes, least to most".into();
        rows.push([name, shares(&generated.class_shares), shares(&floor.class_shares)]);
        if let Some(trained) = &self.train_on_synthetic {
            rows.push([
                "test accuracy of a classifier trained on them".into(),
                percent(trained.generated_accuracy),
                percent(trained.real_accuracy),
            ]);
        }
        rows
    }
}

impl MemorisationScores {
    /// What was found as rows of a table: what, of the generated images, of test images.
    pub fn rows(&self) -> Vec<[String; 3]> {
        let levels = |distance: f64| format!("{distance:.1} levels");
        vec![
            [
                "nearest training image, median".into(),
                levels(self.median_distance),
                levels(self.test_median_distance),
            ],
            ["nearest one stands out".into(), percent(self.copies), percent(self.test_copies)],
            [
                "byte for byte a training image".into(),
                percent(self.duplicates),
                percent(self.test_duplicates),
            ],
        ]
    }
}

/// Scores a model's images against the test images of a data set, with what is the same for every model computed
/// once: the features of the test images, and the floor.
pub struct Evaluator<B: Backend> {
    classifier: Classifier<B>,
    features: FeaturesUsed,
    train: LabelledImages,
    test: LabelledImages,
    reference: Reference,
    /// Training images, as many as there will be generated ones, and their scores.
    floor: Scores,
    floor_images: (Vec<u8>, Option<Vec<u8>>),
}

/// What is known of the test images.
struct Reference {
    statistics: FrechetStatistics,
    manifold: Manifold,
    histogram: ClassHistogram,
}

/// Errors unless images of a set can be scored in the features of a classifier, `count` of them and as many training
/// images beside them. Nothing is computed but what the classifier makes of a few images: this is for the beginning of
/// a run that will be evaluated. `test` is the number of test images, where the set has any.
pub fn check(file: &ClassifierFile, data: &DataSet, test: Option<usize>, count: usize) -> Result<()> {
    let mut classifier = file.load(&Cpu::new().map_err(Error::failure)?)?;
    let images = data.images().as_ref();
    check_shape(file, &classifier, &data.name(), images)?;
    if file.is_embedded() && images.classes().is_some() {
        let few = LabelledImages::copy_of(images, 0..images.len().min(LOOKED_AT))?;
        let correct = few.labels().map(|labels| {
            classifier.classify(few.pixels()).map(|seen| seen.correct(labels) as f64 / few.len() as f64)
        });
        check_accuracy(file, correct.transpose()?, &data.name())?;
    }
    let (train, test) = Compared::sizes(images.len(), test);
    check_counts(count, train, test)
}

/// Errors unless a classifier is for images of this shape and number of classes.
fn check_shape<B: Backend>(
    file: &ClassifierFile,
    classifier: &Classifier<B>,
    name: &str,
    images: &dyn Images,
) -> Result<()> {
    let ImageShape { height, width, channels } = images.shape();
    let (for_shape, for_classes) = (classifier.image_shape(), classifier.classes());
    if for_shape.dims() == [height, width, channels]
        && images.classes().is_none_or(|classes| classes == for_classes)
    {
        return Ok(());
    }
    let classes = images.classes().map_or(String::new(), |classes| format!(" of {classes} classes"));
    Err(Error::failure(format!(
        "the classifier {} is for images {for_shape} of {for_classes} classes, {name} has \
         {height}x{width}x{channels}{classes}; {HOW}",
        file.name
    )))
}

/// Errors when the embedded classifier knows nothing of these images: of their labels it gets the share `accuracy` right.
fn check_accuracy(file: &ClassifierFile, accuracy: Option<f64>, name: &str) -> Result<()> {
    match accuracy {
        Some(accuracy) if file.is_embedded() && accuracy < KNOWS => Err(Error::failure(format!(
            "the classifier {} was trained on other images: of {name} it gets {} right; {HOW}",
            file.name,
            percent(accuracy)
        ))),
        _ => Ok(()),
    }
}

/// Errors unless `count` images can be scored beside so many training and test images.
fn check_counts(count: usize, train: usize, test: usize) -> Result<()> {
    if count > train {
        return Err(Error::usage(format!(
            "{count} images cannot be scored: there are only {train} training images to score beside them; ask for \
             fewer with --count, or in training with --evaluate-count"
        )));
    }
    if test < LEAST {
        return Err(Error::failure(format!(
            "there are {test} test images to compare with, {LEAST} are needed"
        )));
    }
    Ok(())
}

impl<B: Backend> Evaluator<B> {
    /// Looks at the test images and scores `count` training images against them, drawn with `seed`. Errors when the
    /// classifier is for other images, or there are fewer images than that.
    pub fn new(
        backend: &B,
        file: &ClassifierFile,
        Compared { name, train, test, .. }: Compared,
        count: usize,
        seed: u64,
    ) -> Result<Self> {
        let name = &name;
        let mut classifier = file.load(backend)?;
        let shape = train.shape();
        check_shape(file, &classifier, name, &train)?;
        check_counts(count, train.len(), test.len())?;
        let seen = classifier.classify(test.pixels())?;
        let test_accuracy = test.labels().map(|labels| seen.correct(labels) as f64 / test.len() as f64);
        check_accuracy(file, test_accuracy, name)?;
        let features = FeaturesUsed { name: file.name.clone(), sha256: file.sha256.clone(), test_accuracy };
        let reference = Reference {
            statistics: FrechetStatistics::of(&seen.features)?,
            histogram: ClassHistogram::new(&seen.classes, classifier.classes())?,
            manifold: Manifold::new(seen.features, NEIGHBOURS)?,
        };
        let mut order = Stream::new(seed, "floor", 0).permutation(train.len());
        order.truncate(count);
        let size = shape.len();
        let images: Vec<u8> =
            order.iter().flat_map(|&index| &train.pixels()[index * size..][..size]).copied().collect();
        let labels: Option<Vec<u8>> =
            train.labels().map(|labels| order.iter().map(|&index| labels[index]).collect());
        let seen = classifier.classify(&images)?;
        let floor = reference.score(seen, labels.as_deref(), seed)?;
        Ok(Evaluator { classifier, features, train, test, reference, floor, floor_images: (images, labels) })
    }

    /// The features in use.
    pub fn features(&self) -> &FeaturesUsed {
        &self.features
    }

    /// How many test images everything is compared with.
    pub fn test_images(&self) -> usize {
        self.test.len()
    }

    /// The scores of training images: what a perfect generator would get.
    pub fn floor(&self) -> &Scores {
        &self.floor
    }

    /// Scores `images` [N, height, width, channels] of bytes; `asked` is the class asked for of each, if there was one.
    pub fn score(&mut self, images: &[u8], asked: Option<&[u8]>, seed: u64) -> Result<Scores> {
        let seen = self.classifier.classify(images)?;
        self.reference.score(seen, asked, seed)
    }

    /// Looks for copies of training images among `images`.
    pub fn memorisation(&self, images: &[u8]) -> Result<MemorisationScores> {
        let shape = self.train.shape();
        let looked_up = self.test.len().min(LOOKED_UP) * shape.len();
        let found = Memorisation::check(
            images,
            &self.test.pixels()[..looked_up],
            self.train.pixels(),
            [shape.height, shape.width, shape.channels],
        )?;
        Ok(MemorisationScores {
            median_distance: found.generated.median_distance,
            test_median_distance: found.test.median_distance,
            copies: found.generated.copies,
            test_copies: found.test.copies,
            duplicates: found.generated.duplicates,
            test_duplicates: found.test.duplicates,
            suspicious: found.is_suspicious(),
        })
    }

    /// Trains one classifier on `images` with the classes that were `asked` for, another on the training images of the
    /// floor, and tests both on the test images. `progress` is told the share that is done.
    pub fn train_on_synthetic(
        &self,
        backend: &B,
        images: &[u8],
        asked: &[u8],
        seed: u64,
        mut progress: impl FnMut(f64),
    ) -> Result<TrainedOn> {
        let (Some(test_labels), (real, Some(real_labels))) = (self.test.labels(), &self.floor_images) else {
            return Err(Error::usage("--train-on-synthetic needs real images with classes"));
        };
        let mut accuracy = |images: &[u8], labels: &[u8], done: f64| -> Result<f64> {
            let mut fresh =
                Classifier::new(backend, self.classifier.image_shape(), self.classifier.classes(), seed)?;
            let options =
                ClassifierTraining { epochs: SYNTHETIC_EPOCHS, seed, ..ClassifierTraining::default() };
            fresh.train(images, labels, options, |at| {
                progress(done + 0.5 * at.step as f64 / at.steps as f64);
            })?;
            let seen = fresh.classify(self.test.pixels())?;
            Ok(seen.correct(test_labels) as f64 / self.test.len() as f64)
        };
        Ok(TrainedOn {
            generated_accuracy: accuracy(images, asked, 0.0)?,
            real_accuracy: accuracy(real, real_labels, 0.5)?,
        })
    }
}

impl Reference {
    fn score(&self, seen: Classified, labels: Option<&[u8]>, seed: u64) -> Result<Scores> {
        let images = seen.classes.len();
        let class_accuracy = labels.map(|labels| seen.correct(labels) as f64 / images as f64);
        let histogram = ClassHistogram::new(&seen.classes, self.histogram.counts().len())?;
        let frechet_distance = FrechetStatistics::of(&seen.features)?.distance(&self.statistics)?;
        let options = KidOptions { seed, ..KidOptions::default() };
        let kid = Kid::between(&seen.features, self.manifold.features(), options)?;
        let prdc = Prdc::between(&self.manifold, &Manifold::new(seen.features, NEIGHBOURS)?)?;
        Ok(Scores {
            images,
            frechet_distance,
            kernel_distance: kid.mean,
            kernel_distance_std: kid.std,
            precision: prdc.precision,
            recall: prdc.recall,
            density: prdc.density,
            coverage: prdc.coverage,
            class_shares: histogram.shares(),
            class_divergence: histogram.divergence_from(&self.histogram)?,
            class_accuracy,
        })
    }
}
