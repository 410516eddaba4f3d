//! What every set of images can do.

use std::fmt;

use crate::error::Result;
use crate::image_shape::ImageShape;

/// Images of one size, which can be read in any order and from several threads.
pub trait Images: Send + Sync + fmt::Debug {
    /// How many images there are: at least one.
    fn len(&self) -> usize;

    /// Whether there are none. No set that has been opened is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of each image.
    fn shape(&self) -> ImageShape;

    /// How many classes the labels tell apart; nothing where images have no labels.
    fn classes(&self) -> Option<usize>;

    /// Reads the image `index` into `pixels` [height, width, channels], 0 to 255, and returns its class: 0 where
    /// there are none. Errors when the medium fails or holds no image there.
    ///
    /// # Panics
    /// If `index` is out of range or `pixels` has another length.
    fn read(&self, index: usize, pixels: &mut [u8], scratch: &mut Scratch) -> Result<u32>;

    /// Whether an image takes so long to read that several threads should share the work.
    fn is_slow(&self) -> bool {
        false
    }

    /// Lines for people about what happened while images were read, each once: a file that went bad, and what took its
    /// place.
    fn take_notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Buffers that are used again from one image to the next, so that reading allocates nothing once it goes.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<Vec<u8>>,
    floats: Vec<Vec<f32>>,
}

impl Scratch {
    /// A buffer of `len` bytes of any value. Give it back.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let mut buffer = self.bytes.pop().unwrap_or_default();
        buffer.resize(len, 0);
        buffer
    }

    /// Takes a buffer back.
    pub fn give(&mut self, buffer: Vec<u8>) {
        self.bytes.push(buffer);
    }

    /// A buffer of `len` numbers of any value. Give it back.
    pub fn take_floats(&mut self, len: usize) -> Vec<f32> {
        let mut buffer = self.floats.pop().unwrap_or_default();
        buffer.resize(len, 0.0);
        buffer
    }

    /// Takes a buffer back.
    pub fn give_floats(&mut self, buffer: Vec<f32>) {
        self.floats.push(buffer);
    }
}
