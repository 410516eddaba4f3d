//! A classifier for the pictures at hand, whose features the metrics compare.

use std::time::{Duration, Instant};

use gannet::Backend;
use gannet::metrics::{Classifier, ClassifierRecord, ClassifierStep, ClassifierTraining, SelfSupervision};
use gannet_data::{ImageShape, Images};

use super::compared::Compared;
use crate::error::Result;
use crate::terminal::{duration, note};

/// How often every image with a class is seen where nothing says otherwise: twelve times, and where they are few so often that
/// there are 300 steps.
pub fn epochs_for(images: usize) -> usize {
    let batch_size = ClassifierTraining::default().batch_size;
    (300 * batch_size).div_ceil(images.max(1)).max(12)
}

/// How often a line says how far it is.
const LINE: Duration = Duration::from_secs(10);

/// Trains a classifier on the training images: of their classes, tested on the test images; where they have none, of tasks that
/// the pictures set themselves. `epochs` is how often every image with a class is seen.
pub fn learn<B: Backend>(
    backend: &B,
    compared: &Compared,
    epochs: usize,
    seed: u64,
    quiet: bool,
) -> Result<Classifier<B>> {
    let Compared { name, train, test, halved } = compared;
    let ImageShape { height, width, channels } = train.shape();
    let shape = [height, width, channels];
    let mut said = Said { began: Instant::now(), last: Instant::now(), loss: None, quiet };
    let (Some(classes), Some(labels), Some(test_labels)) = (train.classes(), train.labels(), test.labels())
    else {
        let options = SelfSupervision { seed, ..SelfSupervision::default() };
        // From both halves where there are two: features that know one half better would tell it from the other.
        let pictures = if *halved { &[train.pixels(), test.pixels()].concat() } else { train.pixels() };
        let count = pictures.len() / train.shape().len();
        let mut classifier = options.train(backend, pictures, shape, |at| said.hear(at))?;
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
    let options = ClassifierTraining { epochs, seed, ..Default::default() };
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
