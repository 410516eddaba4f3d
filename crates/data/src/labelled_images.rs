//! Images in memory.

use crate::error::{Error, Result};
use crate::image_shape::ImageShape;
use crate::images::{Images, Scratch};

/// Images of bytes in memory, with a class each where there are classes.
#[derive(Debug, Clone)]
pub struct LabelledImages {
    shape: ImageShape,
    classes: Option<usize>,
    /// [N, height, width, channels], 0 to 255.
    pixels: Vec<u8>,
    /// `[N]`, below `classes`; empty without classes.
    labels: Vec<u32>,
}

impl LabelledImages {
    /// Images `pixels` [N, height, width, channels] without classes.
    ///
    /// # Panics
    /// If `pixels` is not a whole number of images, or none.
    pub fn unlabelled(shape: ImageShape, pixels: Vec<u8>) -> Self {
        assert!(!pixels.is_empty() && pixels.len().is_multiple_of(shape.len()));
        LabelledImages { shape, classes: None, pixels, labels: Vec::new() }
    }

    /// Images `pixels` [N, height, width, channels] with their `labels` `[N]`, all below `classes`.
    ///
    /// # Panics
    /// If there are not as many labels as images, none, or one that is too high.
    pub fn labelled(shape: ImageShape, pixels: Vec<u8>, labels: Vec<u32>, classes: usize) -> Self {
        assert!(!labels.is_empty() && pixels.len() == labels.len() * shape.len());
        assert!(labels.iter().all(|&label| (label as usize) < classes));
        LabelledImages { shape, classes: Some(classes), pixels, labels }
    }

    /// The same with a number of classes that is known. Errors when a label is higher.
    pub fn with_classes(mut self, classes: usize) -> Result<Self> {
        if let Some(label) = self.labels.iter().find(|&&label| label as usize >= classes) {
            return Err(Error::failure(format!("the label {label} is none of 0 to {}", classes - 1)));
        }
        self.classes = Some(classes);
        Ok(self)
    }

    /// The same with rows and columns of every image exchanged.
    pub fn transposed(mut self) -> Self {
        let ImageShape { height, width, channels } = self.shape;
        let mut image = vec![0; self.shape.len()];
        for pixels in self.pixels.chunks_exact_mut(image.len()) {
            image.copy_from_slice(pixels);
            for (k, pixel) in pixels.chunks_exact_mut(channels).enumerate() {
                let (row, column) = (k / height, k % height);
                pixel.copy_from_slice(&image[(column * width + row) * channels..][..channels]);
            }
        }
        self.shape = ImageShape { height: width, width: height, channels };
        self
    }

    /// Reads the images `indices` of another set into memory.
    pub fn copy_of(images: &dyn Images, indices: impl ExactSizeIterator<Item = usize>) -> Result<Self> {
        let shape = images.shape();
        let mut pixels = vec![0; indices.len() * shape.len()];
        let mut labels = vec![0; indices.len()];
        let mut scratch = Scratch::default();
        for ((index, pixels), label) in indices.zip(pixels.chunks_exact_mut(shape.len())).zip(&mut labels) {
            *label = images.read(index, pixels, &mut scratch)?;
        }
        Ok(match images.classes() {
            Some(classes) => LabelledImages::labelled(shape, pixels, labels, classes),
            None => LabelledImages::unlabelled(shape, pixels),
        })
    }

    /// [N, height, width, channels], 0 to 255.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The class of each image, where there are classes.
    pub fn labels(&self) -> Option<&[u32]> {
        self.classes.map(|_| &self.labels[..])
    }

    /// The pixels of image `index`.
    fn image(&self, index: usize) -> &[u8] {
        let size = self.shape.len();
        &self.pixels[index * size..][..size]
    }
}

impl Images for LabelledImages {
    fn len(&self) -> usize {
        self.pixels.len() / self.shape.len()
    }

    fn shape(&self) -> ImageShape {
        self.shape
    }

    fn classes(&self) -> Option<usize> {
        self.classes
    }

    fn read(&self, index: usize, pixels: &mut [u8], _: &mut Scratch) -> Result<u32> {
        pixels.copy_from_slice(self.image(index));
        Ok(self.labels.get(index).copied().unwrap_or_default())
    }
}

/// A set that can be read whole.
impl TryFrom<&dyn Images> for LabelledImages {
    type Error = Error;

    fn try_from(images: &dyn Images) -> Result<Self> {
        LabelledImages::copy_of(images, 0..images.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::idx::Idx;

    fn idx(shape: &[usize], elements: &[u8]) -> Idx {
        Idx { shape: shape.to_vec(), elements: elements.to_vec() }
    }

    #[test]
    fn images_are_read_in_any_order() {
        let set = LabelledImages::from_idx(
            ("i", idx(&[3, 1, 2], &[0, 255, 10, 20, 30, 40])),
            ("l", idx(&[3], &[2, 0, 1])),
            3,
        )
        .unwrap();
        let (mut pixels, mut scratch) = ([0; 2], Scratch::default());
        assert_eq!((set.read(2, &mut pixels, &mut scratch).unwrap(), pixels), (1, [30, 40]));
        assert_eq!((set.read(0, &mut pixels, &mut scratch).unwrap(), pixels), (2, [0, 255]));
        let copy = LabelledImages::copy_of(&set, [2, 2].into_iter()).unwrap();
        assert_eq!((copy.pixels(), copy.labels()), (&[30, 40, 30, 40][..], Some(&[1, 1][..])));
        let colour =
            LabelledImages::from_idx(("i", idx(&[1, 1, 1, 3], &[1, 2, 3])), ("l", idx(&[1], &[0])), 1);
        assert_eq!(colour.unwrap().shape(), ImageShape { height: 1, width: 1, channels: 3 });
    }

    #[test]
    fn rows_and_columns_are_exchanged() {
        let shape = ImageShape { height: 2, width: 3, channels: 1 };
        let set =
            LabelledImages::unlabelled(shape, vec![1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60]).transposed();
        assert_eq!(set.shape(), ImageShape { height: 3, width: 2, channels: 1 });
        assert_eq!(set.pixels(), [1, 4, 2, 5, 3, 6, 10, 40, 20, 50, 30, 60]);
        let shape = ImageShape { height: 1, width: 2, channels: 3 };
        let set = LabelledImages::unlabelled(shape, vec![1, 2, 3, 4, 5, 6]).transposed();
        assert_eq!((set.shape().height, set.pixels()), (2, &[1, 2, 3, 4, 5, 6][..]));
    }

    #[test]
    fn sets_that_do_not_fit_are_refused_by_name() {
        let images = || ("i", idx(&[2, 1, 2], &[0; 4]));
        for (images, labels, complaint) in [
            (("i", idx(&[4], &[0; 4])), ("l", idx(&[4], &[0; 4])), "i: expected images [N, height, width]"),
            (("i", idx(&[1, 1, 1, 2], &[0; 2])), ("l", idx(&[1], &[0])), "i: expected images"),
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
