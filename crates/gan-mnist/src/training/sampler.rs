//! The samples that show how a run goes.

use gannet::{Backend, Gan};
use gannet_data::ImageShape;

use crate::error::{Error, Result};
use crate::picture::Picture;

/// Pixels along which the images of a grid stand in a row, and the fewest and most of them.
const ROW: usize = 1100;
const FEWEST_IN_A_ROW: usize = 4;
const MOST_IN_A_ROW: usize = 10;

/// Images in a sample grid: as many rows as columns, ten of small images, four of those of 256 pixels; of `classes` as near
/// to that as rows with the same number of each class come.
pub fn samples_of(shape: ImageShape, classes: Option<usize>) -> usize {
    let side = shape.height.max(shape.width).max(1);
    let row = (ROW / side).clamp(FEWEST_IN_A_ROW, MOST_IN_A_ROW);
    match classes {
        Some(classes) if classes <= row * row => {
            let row_of_classes = in_turn(row, classes);
            row_of_classes * (row * row / row_of_classes)
        }
        _ => row * row,
    }
}

/// The columns of classes that come in turn, each as often: about `row`, and one of each at least.
fn in_turn(row: usize, classes: usize) -> usize {
    classes * (row / classes).max(1)
}

/// Draws the same latents again and again: what `generate` draws from the same seed.
#[derive(Debug)]
pub struct Sampler {
    pub(super) latents: Vec<f32>,
    pub(super) labels: Option<Vec<u32>>,
    pub(super) shape: ImageShape,
    columns: usize,
}

impl Sampler {
    /// For a model whose latents follow from `seed`. Errors where it makes no images.
    pub fn new<B: Backend<Element = f32>>(gan: &Gan<B>, seed: u64) -> Result<Self> {
        let shape = image_shape(gan)?;
        let samples = samples_of(shape, gan.classes());
        let labels = gan.classes().map(|classes| classes_in_turn(samples, classes));
        let columns = columns(samples, labels.as_deref(), gan.classes());
        Ok(Sampler { latents: gan.latents(samples, seed), labels, shape, columns })
    }

    /// Images [N, height, width, channels], and the picture of them all.
    pub fn draw<B: Backend<Element = f32>>(&self, gan: &mut Gan<B>) -> Result<(Vec<f32>, Picture)> {
        let images = gan.generate(&self.latents, self.labels.as_deref())?;
        let grid = Picture::grid(&images, self.shape, self.columns);
        Ok((images, grid))
    }
}

/// Classes 0, 1, ... over and over.
pub fn classes_in_turn(count: usize, classes: usize) -> Vec<u32> {
    (0..classes as u32).cycle().take(count).collect()
}

/// The columns of a grid: as many as rows; where classes come in turn, each has the same number of them.
pub fn columns(count: usize, labels: Option<&[u32]>, classes: Option<usize>) -> usize {
    let row = (1..).find(|n| n * n >= count).unwrap_or(1);
    let Some(classes) = classes.filter(|&n| labels.is_some_and(|found| found == classes_in_turn(count, n)))
    else {
        return row;
    };
    match count < classes {
        // Each is the only one of its class.
        true => count.min(row.max(MOST_IN_A_ROW)),
        false => in_turn(row, classes),
    }
}

/// The size of the images that a model makes. Errors where they are no images of 1, 3 or 4 channels.
pub fn image_shape<B: Backend>(gan: &Gan<B>) -> Result<ImageShape> {
    match *gan.image_shape().dims() {
        [height, width, channels @ (1 | 3 | 4)] => Ok(ImageShape { height, width, channels }),
        _ => Err(Error::failure(format!(
            "the model makes tensors of shape {}, not images [height, width, 1, 3 or 4]",
            gan.image_shape()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_show_as_many_images_as_can_be_seen() {
        let square = |side| ImageShape { height: side, width: side / 2, channels: 3 };
        for (side, samples) in [(8, 100), (28, 100), (64, 100), (128, 64), (256, 16), (1024, 16)] {
            assert_eq!(samples_of(square(side), None), samples, "{side}");
        }
        // Rows are whole: 11 of 9, 10 of 10, 3 of 26; more classes than images show the first of them.
        for (classes, samples) in [(1, 100), (3, 99), (10, 100), (26, 78), (100, 100), (300, 100)] {
            assert_eq!(samples_of(square(28), Some(classes)), samples, "{classes}");
        }
        assert_eq!(columns(99, Some(&classes_in_turn(99, 3)), Some(3)), 9);
        assert_eq!(columns(78, Some(&classes_in_turn(78, 26)), Some(26)), 26);
        assert_eq!(columns(100, Some(&classes_in_turn(100, 300)), Some(300)), 10);
    }

    #[test]
    fn classes_in_turn_have_columns_of_their_own() {
        assert_eq!(columns(25, Some(&classes_in_turn(25, 10)), Some(10)), 10);
        assert_eq!(columns(3, Some(&classes_in_turn(3, 10)), Some(10)), 3);
        assert_eq!(columns(12, Some(&[7; 12]), Some(10)), 4);
        assert_eq!((columns(1, None, None), columns(100, None, None)), (1, 10));
    }
}
