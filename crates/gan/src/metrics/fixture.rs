//! What NumPy and SciPy give for two small sets: made by `tests/fixtures/metrics.py`.

use safetensors::SafeTensors;

use crate::metrics::Features;

pub(crate) struct Fixture {
    /// [80, 16].
    pub(crate) x: Features,
    /// [60, 16].
    pub(crate) y: Features,
    /// The first ten rows of x: fewer than there are features.
    pub(crate) few: Features,
    pub(crate) x_mean: Vec<f64>,
    pub(crate) x_covariance: Vec<f64>,
    /// Of x and y.
    pub(crate) frechet: f64,
    /// Of `few` and y.
    pub(crate) frechet_few: f64,
    /// Of the first 60 rows of x, and y.
    pub(crate) kid: f64,
    /// Precision, recall, density and coverage, with x as the real set and 5 neighbours.
    pub(crate) prdc: [f64; 4],
}

pub(crate) fn load() -> Fixture {
    let file = SafeTensors::deserialize(include_bytes!("../../tests/fixtures/metrics.safetensors")).unwrap();
    let singles = |name: &str| -> Vec<f32> {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let doubles = |name: &str| -> Vec<f64> {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
    };
    let features = |values| Features::new(values, 16).unwrap();
    Fixture {
        x: features(singles("x")),
        y: features(singles("y")),
        few: features(singles("x")[..160].to_vec()),
        x_mean: doubles("x_mean"),
        x_covariance: doubles("x_covariance"),
        frechet: doubles("frechet")[0],
        frechet_few: doubles("frechet_few")[0],
        kid: doubles("kid")[0],
        prdc: doubles("prdc").try_into().unwrap(),
    }
}
