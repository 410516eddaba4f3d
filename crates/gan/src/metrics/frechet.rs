//! The Frechet distance between two sets of features, each taken as a normal distribution.

use crate::eigen::symmetric_eigen;
use crate::error::{Error, Result};
use crate::metrics::Features;

/// Mean and covariance of a set of features: all that the Frechet distance looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct FrechetStatistics {
    /// `[D]`.
    pub mean: Vec<f64>,
    /// [D, D], with N - 1 in the denominator.
    pub covariance: Vec<f64>,
}

impl FrechetStatistics {
    /// The mean and the covariance of `features`, summed in double precision. Errors when there are fewer than two
    /// images.
    pub fn of(features: &Features) -> Result<FrechetStatistics> {
        features.check_len(2, "the Frechet distance")?;
        let (n, d) = (features.len(), features.dim());
        let mut mean = vec![0.0; d];
        for row in features.rows() {
            mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        mean.iter_mut().for_each(|sum| *sum /= n as f64);
        let mut covariance = vec![0.0; d * d];
        let mut centred = vec![0.0; d];
        for row in features.rows() {
            for ((c, &x), mean) in centred.iter_mut().zip(row).zip(&mean) {
                *c = f64::from(x) - mean;
            }
            for (i, sums) in covariance.chunks_exact_mut(d).enumerate() {
                let factor = centred[i];
                sums[i..].iter_mut().zip(&centred[i..]).for_each(|(sum, c)| *sum += factor * c);
            }
        }
        for i in 0..d {
            for j in i..d {
                let value = covariance[i * d + j] / (n - 1) as f64;
                covariance[i * d + j] = value;
                covariance[j * d + i] = value;
            }
        }
        Ok(FrechetStatistics { mean, covariance })
    }

    /// |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)), the squared 2-Wasserstein distance of two normal
    /// distributions (Dowson and Landau 1982; Heusel et al. 2017).
    ///
    /// The last trace is taken of (C1^(1/2) C2 C1^(1/2))^(1/2): a symmetric matrix with the same eigenvalues, whose
    /// roots are real whatever the rounding. Symmetric in its arguments up to rounding. Errors when the numbers
    /// of features differ.
    pub fn distance(&self, other: &FrechetStatistics) -> Result<f64> {
        let d = self.mean.len();
        if other.mean.len() != d {
            return Err(Error::invalid(format!(
                "the Frechet distance compares sets with the same features, got {d} and {}",
                other.mean.len()
            )));
        }
        let shift: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b) * (a - b)).sum();
        let root = square_root(&self.covariance, d);
        let product = multiply(&multiply(&root, &other.covariance, d), &root, d);
        let cross: f64 = symmetric_eigen(&product, d).values.into_iter().map(|x| x.max(0.0).sqrt()).sum();
        Ok(shift + trace(&self.covariance, d) + trace(&other.covariance, d) - 2.0 * cross)
    }
}

/// The symmetric square root of a positive semi-definite matrix; eigenvalues below 0 are rounding, and taken as 0.
fn square_root(a: &[f64], n: usize) -> Vec<f64> {
    let eigen = symmetric_eigen(a, n);
    let mut root = vec![0.0; n * n];
    for (value, vector) in eigen.values.iter().zip(eigen.vectors.chunks_exact(n)) {
        let value = value.max(0.0).sqrt();
        for (row, x) in root.chunks_exact_mut(n).zip(vector) {
            row.iter_mut().zip(vector).for_each(|(sum, y)| *sum += value * x * y);
        }
    }
    root
}

fn multiply(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut product = vec![0.0; n * n];
    for (out, row) in product.chunks_exact_mut(n).zip(a.chunks_exact(n)) {
        for (x, line) in row.iter().zip(b.chunks_exact(n)) {
            out.iter_mut().zip(line).for_each(|(sum, y)| *sum += x * y);
        }
    }
    product
}

fn trace(a: &[f64], n: usize) -> f64 {
    (0..n).map(|i| a[i * n + i]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture;

    #[test]
    fn agrees_with_scipy() {
        let fixture = fixture::load();
        let statistics = |set| FrechetStatistics::of(set).unwrap();
        let (x, y) = (statistics(&fixture.x), statistics(&fixture.y));
        for (ours, numpy) in
            x.mean.iter().zip(&fixture.x_mean).chain(x.covariance.iter().zip(&fixture.x_covariance))
        {
            assert!((ours - numpy).abs() < 1e-12, "{ours} {numpy}");
        }
        for distance in [x.distance(&y), y.distance(&x)] {
            let distance = distance.unwrap();
            assert!(
                (distance - fixture.frechet).abs() < 1e-6 * fixture.frechet,
                "{distance} {}",
                fixture.frechet
            );
        }
        // Of rank 9 in 16 dimensions: the covariance is singular.
        let few = statistics(&fixture.few);
        let distance = few.distance(&y).unwrap();
        assert!((distance - fixture.frechet_few).abs() < 1e-6 * fixture.frechet_few, "{distance}");
    }

    #[test]
    fn distances_of_known_distributions() {
        // Two points at ±s along an axis have the variance 2 s^2; diagonal covariances commute, so that the distance
        // is the shift squared plus the squared differences of the standard deviations.
        let set = |x: f32, s: f32, t: f32| {
            let rows = [[x + s, 0.0], [x - s, 0.0], [x, t], [x, -t]].concat();
            FrechetStatistics::of(&Features::new(rows, 2).unwrap()).unwrap()
        };
        let (a, b) = (set(0.0, 1.0, 2.0), set(3.0, 2.0, 0.5));
        let root = (2.0f64 / 3.0).sqrt();
        let expected = 9.0 + (root * 1.0).powi(2) + (root * 1.5).powi(2);
        assert!((a.distance(&b).unwrap() - expected).abs() < 1e-12);
        assert!(a.distance(&a).unwrap().abs() < 1e-12);
    }

    #[test]
    fn sets_that_cannot_be_compared_are_refused() {
        let one = Features::new(vec![1.0, 2.0], 2).unwrap();
        assert!(FrechetStatistics::of(&one).unwrap_err().to_string().contains("at least 2 images"));
        let two = FrechetStatistics::of(&Features::new(vec![1.0; 4], 2).unwrap()).unwrap();
        let three = FrechetStatistics::of(&Features::new(vec![1.0; 6], 3).unwrap()).unwrap();
        assert!(two.distance(&three).unwrap_err().to_string().contains("got 2 and 3"));
    }
}
