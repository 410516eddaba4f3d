//! Training images in one picture, as the networks see them.

use gannet_data::{Batches, DataSet};

use super::sampler::{classes_in_turn, columns, samples_of};
use crate::error::Result;
use crate::picture::Picture;

/// Batches that are looked through for an image of each class.
const BATCHES: usize = 10;

/// A grid of as many training images as a grid of samples has, scaled, mirrored and in the order of their turn; with
/// `conditional` in columns of one class each, black where none of it was among the first thousand.
pub fn real_grid(data: &DataSet, seed: u64, conditional: bool) -> Result<Picture> {
    let (shape, classes) = (data.shape(), data.classes().filter(|_| conditional));
    let samples = samples_of(shape, classes);
    let mut batches = Batches::new(data, samples, seed, 0);
    let Some(classes) = classes else {
        let (images, _) = batches.next_batch()?;
        return Ok(Picture::grid(images, shape, columns(samples, None, None)));
    };
    let mut grid = vec![-1.0; samples * shape.len()];
    // The places of each class: its number, and every so many classes on.
    let mut next: Vec<usize> = (0..classes).collect();
    let mut left = samples;
    for _ in 0..BATCHES {
        let (images, labels) = batches.next_batch()?;
        for (image, &label) in images.chunks_exact(shape.len()).zip(labels) {
            let place = &mut next[label as usize];
            if *place < samples {
                grid[*place * shape.len()..][..shape.len()].copy_from_slice(image);
                *place += classes;
                left -= 1;
            }
        }
        if left == 0 {
            break;
        }
    }
    let labels = classes_in_turn(samples, classes);
    Ok(Picture::grid(&grid, shape, columns(samples, Some(&labels), Some(classes))))
}
