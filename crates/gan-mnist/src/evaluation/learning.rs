//! A classifier for the pictures at hand, whose features the metrics compare.

use std::time::{Duration, Instant};

use gannet::Backend;
use gannet::metrics::{Classifier, ClassifierRecord, ClassifierStep, ClassifierTraining, SelfSupervision};
use gannet_data::{ImageShape, Images};

use super::compared::Compared;
use super::features::ClassifierFile;
use crate::error::Result;
use crate::terminal::{duration, note};

/// The steps that images with classes are learnt for at least, where nothing says how often they are seen.
const LEAST_STEPS: usize = 300;

/// Trains a classifier for images that none is known for, and says so.
pub fn learn_unknown<B: Backend>(
    backend: &B,
    compared: &Compared,
    seed: u64,
    quiet: bool,
) -> Result<ClassifierFile> {
    let name = &compared.name;
    if !quiet {
        note(&format!("no classifier is known for {name}: one learns from its pictures first"));
    }
    ClassifierFile::of(format!("made from {name}"), &learn(backend, compared, None, seed, quiet)?)
}

/// How often a line says how far it is.
const LINE: Duration = Duration::from_secs(10);

/// Trains a classifier on the training images: of their classes, tested on the test images; where they have none, of tasks that
/// the pictures set themselves. `epochs` is how often every image with a class is seen; as often as is usual, and more where they
/// are few, where it says nothing.
pub fn learn<B: Backend>(
    backend: &B,
    compared: &Compared,
    epochs: Option<usize>,
    seed: u64,
    quiet: bool,
) -> Result<Classifier<B>> {
    let Compared { name, train, test, .. } = compared;
    let ImageShape { height, width, channels } = train.shape();
    let shape = [height, width, channels];
    let mut said = Said { began: Instant::now(), last: Instant::now(), loss: None, quiet };
    let (Some(classes), Some(labels), Some(test_labels)) = (train.classes(), train.labels(), test.labels())
    else {
        let options = SelfSupervision { seed, ..SelfSupervision::default() };
        // From both halves where there are two: features that know one half better would tell it from the other.
        let pictures = compared.trained_on();
        let count = pictures.len() / train.shape().len();
        let mut classifier = options.train(backend, &pictures, shape, |at| said.hear(at))?;
        classifier.set_record(ClassifierRecord {
            dataset: name.clone(),
            training_images: count,
            epochs: (options.steps as usize * options.batch_size).div_ceil(count),
            seed,
            test_images: 0,
            test_correct: 0,
            self_supervised: true,
        });
        return Ok(classifier);
    };
    let mut classifier = Classifier::new(backend, shape, classes, seed)?;
    let mut options = ClassifierTraining { seed, ..Default::default() };
    options.epochs = epochs.unwrap_or_else(|| {
        let least = (LEAST_STEPS * options.batch_size).div_ceil(train.len());
        options.epochs.max(least)
    });
    classifier.train(train.pixels(), labels, options, |at| said.hear(at))?;
    // The test images had no part in the training.
    let correct = classifier.classify(test.pixels())?.correct(test_labels);
    classifier.set_record(ClassifierRecord {
        dataset: name.clone(),
        training_images: train.len(),
        epochs: options.epochs,
        seed,
        test_images: test.len(),
        test_correct: correct,
        self_supervised: false,
    });
    Ok(classifier)
}

/// Says now and then how far it is.
struct Said {
    began: Instant,
    last: Instant,
    loss: Option<f64>,
    quiet: bool,
}

impl Said {
    fn hear(&mut self, at: ClassifierStep) {
        // A mean over some hundred steps: one batch says little.
        let mean = self.loss.map_or(at.loss, |loss| 0.99 * loss + 0.01 * at.loss);
        self.loss = Some(mean);
        if !self.quiet && (self.last.elapsed() >= LINE || at.step == at.steps) {
            self.last = Instant::now();
            let left = self.began.elapsed().mul_f64((at.steps - at.step) as f64 / at.step as f64);
            note(&format!(
                "features: step {}/{}  loss {mean:.4}  {} left",
                at.step,
                at.steps,
                duration(left)
            ));
        }
    }
}
