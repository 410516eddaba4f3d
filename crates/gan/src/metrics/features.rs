//! The feature vectors that metrics compare.

use crate::error::{Error, Result};

/// Feature vectors of a set of images: [N, D], row-major, every number finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    values: Vec<f32>,
    dim: usize,
}

impl Features {
    /// Takes `values` as rows of `dim` numbers. Errors when there is no row, when the last one is not whole, and
    /// when a number is infinite or NaN.
    pub fn new(values: Vec<f32>, dim: usize) -> Result<Features> {
        if dim == 0 || values.is_empty() || !values.len().is_multiple_of(dim) {
            return Err(Error::invalid(format!(
                "features must be one row or more of D >= 1 numbers each, got {} numbers for D = {dim}",
                values.len()
            )));
        }
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            return Err(Error::invalid(format!(
                "feature {} of image {} is {}, so the images or the classifier are not what they should be",
                at % dim,
                at / dim,
                values[at]
            )));
        }
        Ok(Features { values, dim })
    }

    /// The number of images, N.
    #[allow(clippy::len_without_is_empty)] // it is never empty
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// The number of features of an image, D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The features of image `index`.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dim..][..self.dim]
    }

    /// Neighbouring rows, one after another.
    pub(crate) fn range(&self, rows: std::ops::Range<usize>) -> &[f32] {
        &self.values[rows.start * self.dim..rows.end * self.dim]
    }

    /// The rows, in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.dim)
    }

    /// Errors unless both have the same number of features and each at least `least` images.
    pub(crate) fn check_pair(&self, other: &Features, least: usize, metric: &str) -> Result<()> {
        if self.dim != other.dim {
            return Err(Error::invalid(format!(
                "{metric}: the sets have {} and {} features, and must come from the same classifier",
                self.dim, other.dim
            )));
        }
        self.check_len(least, metric)?;
        other.check_len(least, metric)
    }

    /// Errors when there are fewer than `least` images.
    pub(crate) fn check_len(&self, least: usize, metric: &str) -> Result<()> {
        if self.len() < least {
            return Err(Error::invalid(format!(
                "{metric} needs at least {least} images in each set, got {}",
                self.len()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_whole_and_finite() {
        let features = Features::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3).unwrap();
        assert_eq!((features.len(), features.dim(), features.row(1)), (2, 3, &[4.0, 5.0, 6.0][..]));
        for (values, dim) in [(vec![], 3), (vec![0.0; 4], 3), (vec![0.0; 4], 0)] {
            assert!(Features::new(values, dim).unwrap_err().to_string().contains("one row or more"));
        }
        let message = Features::new(vec![0.0, 0.0, 0.0, f32::NAN], 2).unwrap_err().to_string();
        assert!(message.starts_with("feature 1 of image 1 is NaN"), "{message}");
    }

    #[test]
    fn sets_that_cannot_be_compared_are_refused() {
        let (a, b) = (Features::new(vec![0.0; 6], 3).unwrap(), Features::new(vec![0.0; 6], 2).unwrap());
        assert!(a.check_pair(&b, 1, "KID").unwrap_err().to_string().contains("3 and 2 features"));
        assert!(a.check_pair(&a, 3, "KID").unwrap_err().to_string().contains("at least 3 images"));
        assert!(a.check_pair(&a, 2, "KID").is_ok());
    }
}
