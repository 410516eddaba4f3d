//! evaluation.json: scores of generated images, beside those of real ones.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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
    /// See [`gannet::metrics::Prdc`].
    pub precision: f64,
    /// See [`gannet::metrics::Prdc`].
    pub recall: f64,
    /// See [`gannet::metrics::Prdc`].
    pub density: f64,
    /// See [`gannet::metrics::Prdc`].
    pub coverage: f64,
    /// The sliced Wasserstein distance of patches at each scale, the finest first. Without any classifier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sliced_wasserstein: Vec<ScaleScore>,
    /// The share of each class, as the classifier sees it; empty where it tells none apart.
    pub class_shares: Vec<f64>,
    /// The Kullback-Leibler divergence of these shares from those of the test images, in nats.
    pub class_divergence: Option<f64>,
    /// The share of images that the classifier sees in the class that was asked for, or that their label says.
    pub class_accuracy: Option<f64>,
}

/// See [`gannet::metrics::ScaleDistance`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScaleScore {
    /// Rows of an image at this scale.
    pub height: usize,
    /// Columns of it.
    pub width: usize,
    /// In standard deviations of the real images' numbers at this scale.
    pub distance: f64,
}

/// See [`gannet::metrics::Memorisation`]. Distances are in grey levels of 0 to 255.
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
    /// Whether it learnt from pictures without labels.
    #[serde(default)]
    pub self_supervised: bool,
}

impl FeaturesUsed {
    /// In words: name, accuracy, the beginning of the hash.
    pub fn describe(&self) -> String {
        let hash = self.sha256.get(..16).unwrap_or(&self.sha256);
        let what = match self.test_accuracy {
            Some(accuracy) => format!("{:.2} % right on the test images, ", 100.0 * accuracy),
            None if self.self_supervised => "learnt from the pictures without labels, ".into(),
            None => String::new(),
        };
        format!("{}, {what}sha256 {hash}", self.name)
    }
}

/// A share as it is printed.
pub fn percent(share: f64) -> String {
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
        for (found, real) in generated.sliced_wasserstein.iter().zip(&floor.sliced_wasserstein) {
            let size = format!("{}x{}", found.width, found.height);
            let [found, real] = [found, real].map(|scale| format!("{:.1}", 1e3 * scale.distance));
            rows.push([format!("sliced Wasserstein distance x 1000, {size}"), found, real]);
        }
        if let (Some(found), Some(real)) = (generated.class_divergence, floor.class_divergence) {
            let [found, real] = [found, real].map(|nats| format!("{nats:.4}"));
            rows.push(["class divergence (KL), nats".into(), found, real]);
        }
        if let (Some(accuracy), Some(real)) = (generated.class_accuracy, floor.class_accuracy) {
            rows.push(["images in the class asked for".into(), percent(accuracy), percent(real)]);
        }
        let shares = |shares: &[f64]| {
            let range = shares.iter().fold((f64::MAX, 0f64), |(low, high), &s| (low.min(s), high.max(s)));
            format!("{:.1} to {:.1} %", 100.0 * range.0, 100.0 * range.1)
        };
        if !floor.class_shares.is_empty() {
            let name = "classes, least to most".into();
            rows.push([name, shares(&generated.class_shares), shares(&floor.class_shares)]);
        }
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

/// What `evaluate` last said of a run.
pub fn read_evaluation(path: &Path) -> Result<Option<Evaluation>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| Error::failure(format!("{}: these are no scores ({e})", path.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::cannot_read(path, &e)),
    }
}
