//! Training images.

pub mod idx;
pub mod mnist;
mod shuffle;

pub use shuffle::Shuffle;

use self::idx::Idx;
use crate::error::{Error, Result};
use crate::picture::ImageShape;

/// Images of bytes with a class each, in memory.
#[derive(Debug, Clone)]
pub struct LabelledImages {
    shape: ImageShape,
    classes: usize,
    /// [N, height, width, channels], 0 to 255.
    pixels: Vec<u8>,
    /// `[N]`, below `classes`.
    labels: Vec<u8>,
}

impl LabelledImages {
    /// Joins a file of grey images [N, height, width] and one of labels `[N]`, each with its name for
    /// errors. Refuses other ranks, empty sets, counts that differ, and labels from `classes` up.
    pub fn from_idx(images: (&str, Idx), labels: (&str, Idx), classes: usize) -> Result<Self> {
        let ((images_file, images), (labels_file, labels)) = (images, labels);
        let &[count, height, width] = &images.shape[..] else {
            return Err(Error::failure(format!(
                "{images_file}: expected images [N, height, width], found the shape {:?}",
                images.shape
            )));
        };
        let shape = ImageShape { height, width, channels: 1 };
        if count == 0 || shape.is_empty() {
            return Err(Error::failure(format!("{images_file}: has no images (shape {:?})", images.shape)));
        }
        if labels.shape != [count] {
            return Err(Error::failure(format!(
                "{labels_file}: expected {count} labels, one for each image of {images_file}, \
                 found the shape {:?}",
                labels.shape
            )));
        }
        if let Some(at) = labels.elements.iter().position(|&label| usize::from(label) >= classes) {
            return Err(Error::failure(format!(
                "{labels_file}: the label {} at offset {} is none of 0 to {}",
                labels.elements[at],
                at + 8,
                classes - 1
            )));
        }
        Ok(LabelledImages { shape, classes, pixels: images.elements, labels: labels.elements })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The size of each image.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// How many classes the labels tell apart.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// [N, height, width, channels], 0 to 255.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The class of each image.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Gathers the images `indices` into `images` [B, height, width, channels], bytes 0 to 255 mapped to
    /// [-1, 1], and their classes into `labels` `[B]`.
    ///
    /// # Panics
    /// If an index is out of range or a buffer has another length.
    pub fn gather(&self, indices: &[usize], images: &mut [f32], labels: &mut [u32]) {
        let size = self.shape.len();
        assert_eq!(images.len(), indices.len() * size);
        assert_eq!(labels.len(), indices.len());
        for ((&index, image), label) in indices.iter().zip(images.chunks_exact_mut(size)).zip(labels) {
            for (value, &pixel) in image.iter_mut().zip(&self.pixels[index * size..]) {
                *value = f32::from(pixel) / 127.5 - 1.0;
            }
            *label = u32::from(self.labels[index]);
        }
    }
}

#[cfg(test)]
mod tests {
    use gannet::metrics::quantise;

    use super::*;

    fn idx(shape: &[usize], elements: &[u8]) -> Idx {
        Idx { shape: shape.to_vec(), elements: elements.to_vec() }
    }

    #[test]
    fn gathered_images_are_in_order_and_in_range() {
        let set = LabelledImages::from_idx(
            ("i", idx(&[3, 1, 2], &[0, 255, 10, 20, 30, 40])),
            ("l", idx(&[3], &[2, 0, 1])),
            3,
        )
        .unwrap();
        let (mut images, mut labels) = ([0.0; 4], [9; 2]);
        set.gather(&[2, 0], &mut images, &mut labels);
        assert_eq!(images.map(quantise), [30, 40, 0, 255]);
        assert_eq!((images[2], images[3]), (-1.0, 1.0));
        assert_eq!(labels, [1, 2]);
    }

    #[test]
    fn sets_that_do_not_fit_are_refused_by_name() {
        let images = || ("i", idx(&[2, 1, 2], &[0; 4]));
        for (images, labels, complaint) in [
            (("i", idx(&[4], &[0; 4])), ("l", idx(&[4], &[0; 4])), "i: expected images [N, height, width]"),
            (("i", idx(&[0, 28, 28], &[])), ("l", idx(&[0], &[])), "i: has no images"),
            (("i", idx(&[3, 0, 28], &[])), ("l", idx(&[3], &[0; 3])), "i: has no images"),
            (images(), ("l", idx(&[3], &[0; 3])), "l: expected 2 labels"),
            (images(), ("l", idx(&[2], &[0, 3])), "l: the label 3 at offset 9 is none of 0 to 2"),
        ] {
            let message = LabelledImages::from_idx(images, labels, 3).unwrap_err().to_string();
            assert!(message.starts_with(complaint), "{message}");
        }
    }
}
