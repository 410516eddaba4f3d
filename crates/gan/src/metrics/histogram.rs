//! How often each class occurs.

use crate::error::{Error, Result};

/// How many images of a set belong to each class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassHistogram {
    counts: Vec<usize>,
}

impl ClassHistogram {
    /// Counts `classes`, the class of each image. Errors when there is none, or when one is not below `count`.
    pub fn new(classes: &[usize], count: usize) -> Result<ClassHistogram> {
        if classes.is_empty() {
            return Err(Error::invalid("a class histogram needs at least one image, got none"));
        }
        let mut counts = vec![0; count];
        for (image, &class) in classes.iter().enumerate() {
            let Some(counter) = counts.get_mut(class) else {
                return Err(Error::invalid(format!(
                    "image {image} has the class {class}, but there are only {count} (counted from 0)"
                )));
            };
            *counter += 1;
        }
        Ok(ClassHistogram { counts })
    }

    /// The number of images of each class.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// The share of each class; they add up to 1.
    pub fn shares(&self) -> Vec<f64> {
        let total: usize = self.counts.iter().sum();
        self.counts.iter().map(|&count| count as f64 / total as f64).collect()
    }

    /// The Kullback-Leibler divergence of these shares p from those of `reference` q: the sum of p ln(p / q), in nats.
    /// 0 where they agree, infinite where a class occurs that the reference lacks. Errors when the numbers of
    /// classes differ.
    pub fn divergence_from(&self, reference: &ClassHistogram) -> Result<f64> {
        if self.counts.len() != reference.counts.len() {
            return Err(Error::invalid(format!(
                "histograms of {} and {} classes cannot be compared",
                self.counts.len(),
                reference.counts.len()
            )));
        }
        let terms = self.shares().into_iter().zip(reference.shares());
        Ok(terms.map(|(p, q)| if p > 0.0 { p * (p / q).ln() } else { 0.0 }).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_shares_and_divergence() {
        let p = ClassHistogram::new(&[0, 2, 2, 2], 3).unwrap();
        let q = ClassHistogram::new(&[0, 0, 1, 2], 3).unwrap();
        assert_eq!(p.counts(), [1, 0, 3]);
        assert_eq!(p.shares(), [0.25, 0.0, 0.75]);
        let expected = 0.25 * 0.5f64.ln() + 0.75 * 3f64.ln();
        assert!((p.divergence_from(&q).unwrap() - expected).abs() < 1e-15);
        assert_eq!(q.divergence_from(&q).unwrap(), 0.0);
        assert_eq!(q.divergence_from(&p).unwrap(), f64::INFINITY);
    }

    #[test]
    fn classes_that_are_none_are_refused() {
        assert!(ClassHistogram::new(&[], 3).unwrap_err().to_string().contains("at least one image"));
        let message = ClassHistogram::new(&[0, 3], 3).unwrap_err().to_string();
        assert!(message.starts_with("image 1 has the class 3, but there are only 3"), "{message}");
        let (two, three) = (ClassHistogram::new(&[0], 2).unwrap(), ClassHistogram::new(&[0], 3).unwrap());
        assert!(two.divergence_from(&three).unwrap_err().to_string().contains("2 and 3 classes"));
    }
}
