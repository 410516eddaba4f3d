//! A set at another size.

use std::sync::Arc;

use super::area::{AreaFilter, Resize};
use crate::error::Result;
use crate::image_shape::ImageShape;
use crate::images::{Images, Scratch};

/// A set whose images are cropped to the middle, or otherwise fitted, and scaled, and repeated or weighed into other channels.
#[derive(Debug)]
pub struct Resized {
    images: Arc<dyn Images>,
    shape: ImageShape,
    filter: AreaFilter,
}

impl Resized {
    /// The images of a set in another shape; the set itself where the shape is its own.
    pub fn of(images: Arc<dyn Images>, shape: ImageShape, resize: Resize) -> Arc<dyn Images> {
        if images.shape() == shape {
            return images;
        }
        let filter = AreaFilter::resizing(images.shape(), shape, resize);
        Arc::new(Resized { images, shape, filter })
    }
}

impl Images for Resized {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn shape(&self) -> ImageShape {
        self.shape
    }

    fn classes(&self) -> Option<usize> {
        self.images.classes()
    }

    fn read(&self, index: usize, pixels: &mut [u8], scratch: &mut Scratch) -> Result<u32> {
        let mut image = scratch.take(self.images.shape().len());
        let result = self.images.read(index, &mut image, scratch);
        if result.is_ok() {
            self.filter.apply(&image, pixels, scratch);
        }
        scratch.give(image);
        result
    }

    fn is_slow(&self) -> bool {
        self.images.is_slow()
    }

    fn take_notes(&self) -> Vec<String> {
        self.images.take_notes()
    }
}
