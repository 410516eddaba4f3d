//! Kernel distance: the unbiased squared maximum mean discrepancy with a cubic kernel.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::metrics::Features;
use crate::random::Stream;

/// How the kernel distance is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KidOptions {
    /// How many subsets of each set are compared.
    pub subsets: usize,
    /// Images in a subset; fewer where a set is smaller.
    pub subset_size: usize,
    /// Fixes which images the subsets hold.
    pub seed: u64,
}

impl Default for KidOptions {
    /// 100 subsets of 1000.
    fn default() -> KidOptions {
        KidOptions { subsets: 100, subset_size: 1000, seed: 0 }
    }
}

/// An estimate of the kernel distance. It is unbiased, so of two sets from the same distribution it is about zero,
/// and as often below zero as above.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Kid {
    /// The mean over the subsets.
    pub mean: f64,
    /// The standard deviation over the subsets.
    pub std: f64,
}

impl Kid {
    /// The squared maximum mean discrepancy of two sets with the kernel k(x, y) = (x·y / D + 1)^3, unbiased, as mean
    /// over random subsets (Binkowski et al. 2018, "Demystifying MMD GANs"). Errors when a set has fewer than two
    /// images, the numbers of features differ, or an option is too small.
    pub fn between(x: &Features, y: &Features, options: KidOptions) -> Result<Kid> {
        x.check_pair(y, 2, "the kernel distance")?;
        if options.subsets == 0 || options.subset_size < 2 {
            return Err(Error::invalid(format!(
                "the kernel distance needs at least 1 subset of at least 2 images, got {} of {}",
                options.subsets, options.subset_size
            )));
        }
        let size = options.subset_size.min(x.len()).min(y.len());
        let estimates: Vec<f64> = (0..options.subsets)
            .into_par_iter()
            .map(|subset| {
                let draw =
                    |set, name| Subset::draw(set, size, &mut Stream::new(options.seed, name, subset as u64));
                squared_mmd(&draw(x, "kid x"), &draw(y, "kid y"))
            })
            .collect();
        let count = estimates.len() as f64;
        let mean = estimates.iter().sum::<f64>() / count;
        let std = (estimates.iter().map(|e| (e - mean) * (e - mean)).sum::<f64>() / count).sqrt();
        Ok(Kid { mean, std })
    }
}

/// Some rows of a set, in double precision, each padded with zeros to a multiple of [`LANES`].
struct Subset {
    values: Vec<f64>,
    /// The length of a padded row.
    stride: usize,
    dim: usize,
}

/// Partial sums of a dot product, so that they fit vector registers.
const LANES: usize = 8;

impl Subset {
    fn draw(features: &Features, size: usize, stream: &mut Stream) -> Subset {
        let (dim, stride) = (features.dim(), features.dim().next_multiple_of(LANES));
        let mut values = vec![0.0; size * stride];
        for (row, index) in values.chunks_exact_mut(stride).zip(stream.permutation(features.len())) {
            row.iter_mut().zip(features.row(index)).for_each(|(to, &from)| *to = f64::from(from));
        }
        Subset { values, stride, dim }
    }

    fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.stride)
    }

    fn len(&self) -> usize {
        self.values.len() / self.stride
    }

    /// The sum of k(x, y) over the rows of `others`, for one x.
    fn kernel_sum<'a>(&self, x: &[f64], others: impl Iterator<Item = &'a [f64]>) -> f64 {
        let scale = 1.0 / self.dim as f64;
        others.map(|y| (dot(x, y) * scale + 1.0).powi(3)).sum()
    }

    /// The mean of k(x, x') over pairs of different rows.
    fn mean_within(&self) -> f64 {
        let pairs = (self.len() * (self.len() - 1) / 2) as f64;
        let rows = self.rows().enumerate();
        rows.map(|(i, x)| self.kernel_sum(x, self.rows().skip(i + 1))).sum::<f64>() / pairs
    }
}

fn squared_mmd(x: &Subset, y: &Subset) -> f64 {
    let between: f64 = x.rows().map(|row| x.kernel_sum(row, y.rows())).sum();
    x.mean_within() + y.mean_within() - 2.0 * between / (x.len() * y.len()) as f64
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture;

    #[test]
    fn agrees_with_numpy_on_whole_sets() {
        let fixture = fixture::load();
        // A subset of 60 out of 60 is the whole set, in another order.
        let options = KidOptions { subsets: 3, subset_size: 60, seed: 1 };
        let x: Vec<f32> = fixture.x.rows().take(60).flatten().copied().collect();
        let kid = Kid::between(&Features::new(x, fixture.x.dim()).unwrap(), &fixture.y, options).unwrap();
        assert!(
            (kid.mean - fixture.kid).abs() < 1e-12 * fixture.kid.abs().max(1.0),
            "{kid:?} {}",
            fixture.kid
        );
        assert!(kid.std < 1e-12);
    }

    #[test]
    fn is_zero_on_average_for_one_distribution_and_repeats() {
        let draw = |name: &str, mean: f64| {
            let mut stream = Stream::new(5, name, 0);
            Features::new((0..500 * 12).map(|_| (stream.normal() + mean) as f32).collect(), 12).unwrap()
        };
        let options = KidOptions { subsets: 20, subset_size: 200, seed: 0 };
        let same = Kid::between(&draw("a", 0.0), &draw("b", 0.0), options).unwrap();
        assert!(same.mean.abs() < same.std, "{same:?}");
        let other = Kid::between(&draw("a", 0.0), &draw("b", 0.3), options).unwrap();
        assert!(other.mean > 5.0 * same.std, "{other:?}");
        assert_eq!(same, Kid::between(&draw("a", 0.0), &draw("b", 0.0), options).unwrap());
        assert_ne!(
            same,
            Kid::between(&draw("a", 0.0), &draw("b", 0.0), KidOptions { seed: 1, ..options }).unwrap()
        );
    }

    #[test]
    fn impossible_options_are_refused() {
        let x = Features::new(vec![0.0; 10], 2).unwrap();
        for options in [
            KidOptions { subsets: 0, ..KidOptions::default() },
            KidOptions { subset_size: 1, ..KidOptions::default() },
        ] {
            let message = Kid::between(&x, &x, options).unwrap_err().to_string();
            assert!(message.contains("at least 1 subset of at least 2 images"), "{message}");
        }
        let one = Features::new(vec![0.0; 2], 2).unwrap();
        assert!(Kid::between(&x, &one, KidOptions::default()).is_err());
    }
}
