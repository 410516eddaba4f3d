//! Training batches, by position.

use crate::data::{LabelledImages, Shuffle};

/// Training batches, in the order that the seed gives.
#[derive(Debug)]
pub struct Batches<'a> {
    data: &'a LabelledImages,
    shuffle: Shuffle,
    indices: Vec<usize>,
    images: Vec<f32>,
    labels: Vec<u32>,
}

impl<'a> Batches<'a> {
    /// Batches of `batch_size` images, the first of which comes after `position` others.
    pub fn new(data: &'a LabelledImages, batch_size: usize, seed: u64, position: u64) -> Self {
        let mut shuffle = Shuffle::new(data.len(), seed);
        shuffle.seek(position);
        Batches {
            data,
            shuffle,
            indices: vec![0; batch_size],
            images: vec![0.0; batch_size * data.shape().len()],
            labels: vec![0; batch_size],
        }
    }

    /// Goes to where `position` images have been seen.
    pub fn seek(&mut self, position: u64) {
        self.shuffle.seek(position);
    }

    /// The next images [batch_size, H, W, C] in [-1, 1] and their classes.
    pub fn next_batch(&mut self) -> (&[f32], &[u32]) {
        self.shuffle.fill(&mut self.indices);
        self.data.gather(&self.indices, &mut self.images, &mut self.labels);
        (&self.images, &self.labels)
    }
}
