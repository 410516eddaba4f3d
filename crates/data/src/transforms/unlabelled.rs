//! A set without its classes.

use std::sync::Arc;

use crate::error::Result;
use crate::image_shape::ImageShape;
use crate::images::{Images, Scratch};

/// The images of a set, whose classes are passed over.
#[derive(Debug)]
pub(crate) struct Unlabelled(pub(crate) Arc<dyn Images>);

impl Images for Unlabelled {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn shape(&self) -> ImageShape {
        self.0.shape()
    }

    fn classes(&self) -> Option<usize> {
        None
    }

    fn read(&self, index: usize, pixels: &mut [u8], scratch: &mut Scratch) -> Result<u32> {
        self.0.read(index, pixels, scratch).map(|_| 0)
    }

    fn is_slow(&self) -> bool {
        self.0.is_slow()
    }

    fn take_notes(&self) -> Vec<String> {
        self.0.take_notes()
    }
}
