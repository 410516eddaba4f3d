//! Scoring generated images beside real ones.

use gannet::Backend;
use gannet::metrics::{
    ClassHistogram, Classified, Classifier, ClassifierTraining, Closeness, FrechetStatistics, Kid,
    KidOptions, Manifold, Memorisation, Prdc, SlicedOptions, SlicedWasserstein,
};
use gannet::random::Stream;
use gannet_data::{ImageShape, Images, LabelledImages};

use super::compared::Compared;
use super::features::ClassifierFile;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::run::{FeaturesUsed, MemorisationScores, ScaleScore, Scores, TrainedOn, percent};

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

/// What to do about a classifier that does not fit.
const HOW: &str = "leave --classifier out, and one is made from the pictures; `gan-mnist train-classifier` with the same \
    --dataset or --data makes one to keep";

/// Scores a model's images against the test images of a data set, with what is the same for every model computed
/// once: the features of the test images, and the floor.
pub struct Evaluator<B: Backend> {
    classifier: Classifier<B>,
    features: FeaturesUsed,
    compared: Compared,
    test_statistics: TestStatistics,
    /// Training images, as many as there will be generated ones, and their scores.
    floor: Scores,
    floor_images: (Vec<u8>, Option<Vec<u32>>),
}

/// What is known of the test images.
struct TestStatistics {
    statistics: FrechetStatistics,
    manifold: Manifold,
    /// Where the classifier tells classes of the images apart.
    histogram: Option<ClassHistogram>,
    patches: SlicedWasserstein,
}

/// Errors unless a classifier is for the images of the set `name`. Nothing is computed but what it makes of a few of them.
pub fn check_fits(file: &ClassifierFile, name: &str, images: &dyn Images) -> Result<()> {
    let mut classifier = file.load(&Device::cpu()?)?;
    check_shape(file, &classifier, name, images)?;
    if file.is_embedded() && images.classes().is_some() {
        let few = LabelledImages::copy_of(images, 0..images.len().min(LOOKED_AT))?;
        let correct = few.labels().map(|labels| {
            classifier.classify(few.pixels()).map(|seen| seen.correct(labels) as f64 / few.len() as f64)
        });
        check_accuracy(file, correct.transpose()?, name)?;
    }
    Ok(())
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
        && (is_self_supervised(classifier) || images.classes().is_none_or(|classes| classes == for_classes))
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

/// Whether the classes of a classifier are those of a task, and not of the images.
fn is_self_supervised<B: Backend>(classifier: &Classifier<B>) -> bool {
    classifier.record().is_some_and(|record| record.self_supervised)
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
pub fn check_counts(count: usize, train: usize, test: usize) -> Result<()> {
    if test < LEAST || train < LEAST {
        return Err(Error::failure(format!(
            "there are {train} training images and {test} test images to compare with, {LEAST} of each are needed: {} \
             pictures where one half has to stand for test images",
            2 * LEAST
        )));
    }
    if count > train {
        return Err(Error::usage(format!(
            "{count} images cannot be scored: there are {train} training images to score beside them; ask for fewer with \
             --count, or in training with --evaluate-count"
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
        compared: Compared,
        count: usize,
        seed: u64,
    ) -> Result<Self> {
        let Compared { name, train, test, .. } = &compared;
        let mut classifier = file.load(backend)?;
        let shape = train.shape();
        check_shape(file, &classifier, name, train)?;
        check_counts(count, train.len(), test.len())?;
        let seen = classifier.classify(test.pixels())?;
        let knows_classes = !is_self_supervised(&classifier);
        let right = |labels: &[u32]| seen.correct(labels) as f64 / test.len() as f64;
        let test_accuracy = test.labels().filter(|_| knows_classes).map(right);
        check_accuracy(file, test_accuracy, name)?;
        let features = FeaturesUsed {
            name: file.name.clone(),
            sha256: file.sha256.clone(),
            test_accuracy,
            self_supervised: !knows_classes,
        };
        let ImageShape { height, width, channels } = shape;
        let options = SlicedOptions { seed, ..SlicedOptions::default() };
        let test_statistics = TestStatistics {
            statistics: FrechetStatistics::of(&seen.features)?,
            histogram: knows_classes
                .then(|| ClassHistogram::new(&seen.classes, classifier.classes()))
                .transpose()?,
            manifold: Manifold::new(seen.features, NEIGHBOURS)?,
            patches: SlicedWasserstein::of(test.pixels(), [height, width, channels], options)?,
        };
        let mut order = Stream::new(seed, "floor", 0).permutation(train.len());
        order.truncate(count);
        let size = shape.len();
        let images: Vec<u8> =
            order.iter().flat_map(|&index| &train.pixels()[index * size..][..size]).copied().collect();
        let labels: Option<Vec<u32>> =
            train.labels().map(|labels| order.iter().map(|&index| labels[index]).collect());
        let seen = classifier.classify(&images)?;
        let floor = test_statistics.score(&images, seen, labels.as_deref(), seed)?;
        Ok(Evaluator {
            classifier,
            features,
            compared,
            test_statistics,
            floor,
            floor_images: (images, labels),
        })
    }

    /// The features in use.
    pub fn features(&self) -> &FeaturesUsed {
        &self.features
    }

    /// How many test images everything is compared with.
    pub fn test_images(&self) -> usize {
        self.compared.test.len()
    }

    /// The scores of training images: what a perfect generator would get.
    pub fn floor(&self) -> &Scores {
        &self.floor
    }

    /// Scores `images` [N, height, width, channels] of bytes; `asked` is the class asked for of each, if there was one.
    pub fn score(&mut self, images: &[u8], asked: Option<&[u32]>, seed: u64) -> Result<Scores> {
        let seen = self.classifier.classify(images)?;
        self.test_statistics.score(images, seen, asked, seed)
    }

    /// Looks for copies of training images among `images`.
    pub fn memorisation(&self, images: &[u8]) -> Result<MemorisationScores> {
        let Compared { train, test, .. } = &self.compared;
        let ImageShape { height, width, channels } = train.shape();
        let looked_up = &test.pixels()[..test.len().min(LOOKED_UP) * train.shape().len()];
        let among = |images: &[u8], trained: &[u8]| Closeness::of(images, trained, [height, width, channels]);
        let found = Memorisation::between(
            among(images, &self.compared.trained_on())?,
            among(looked_up, train.pixels())?,
        );
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
        asked: &[u32],
        seed: u64,
        mut progress: impl FnMut(f64),
    ) -> Result<TrainedOn> {
        let test = &self.compared.test;
        let (Some(test_labels), (real, Some(real_labels))) = (test.labels(), &self.floor_images) else {
            return Err(Error::usage("--train-on-synthetic needs real images with classes"));
        };
        let mut accuracy = |images: &[u8], labels: &[u32], done: f64| -> Result<f64> {
            let mut fresh =
                Classifier::new(backend, self.classifier.image_shape(), self.classifier.classes(), seed)?;
            let options =
                ClassifierTraining { epochs: SYNTHETIC_EPOCHS, seed, ..ClassifierTraining::default() };
            fresh.train(images, labels, options, |at| {
                progress(done + 0.5 * at.step as f64 / at.steps as f64);
            })?;
            let seen = fresh.classify(test.pixels())?;
            Ok(seen.correct(test_labels) as f64 / test.len() as f64)
        };
        Ok(TrainedOn {
            generated_accuracy: accuracy(images, asked, 0.0)?,
            real_accuracy: accuracy(real, real_labels, 0.5)?,
        })
    }
}

impl TestStatistics {
    fn score(&self, pixels: &[u8], seen: Classified, labels: Option<&[u32]>, seed: u64) -> Result<Scores> {
        let images = seen.classes.len();
        let (mut class_shares, mut class_divergence, mut class_accuracy) = (Vec::new(), None, None);
        if let Some(real) = &self.histogram {
            let histogram = ClassHistogram::new(&seen.classes, real.counts().len())?;
            class_shares = histogram.shares();
            class_divergence = Some(histogram.divergence_from(real)?);
            class_accuracy = labels.map(|labels| seen.correct(labels) as f64 / images as f64);
        }
        let frechet_distance = FrechetStatistics::of(&seen.features)?.distance(&self.statistics)?;
        let options = KidOptions { seed, ..KidOptions::default() };
        let kid = Kid::between(&seen.features, self.manifold.features(), options)?;
        let prdc = Prdc::between(&self.manifold, &Manifold::new(seen.features, NEIGHBOURS)?)?;
        let scales = self.patches.distances(pixels)?;
        Ok(Scores {
            images,
            frechet_distance,
            kernel_distance: kid.mean,
            kernel_distance_std: kid.std,
            precision: prdc.precision,
            recall: prdc.recall,
            density: prdc.density,
            coverage: prdc.coverage,
            sliced_wasserstein: scales
                .iter()
                .map(|scale| ScaleScore {
                    height: scale.height,
                    width: scale.width,
                    distance: scale.distance,
                })
                .collect(),
            class_shares,
            class_divergence,
            class_accuracy,
        })
    }
}
