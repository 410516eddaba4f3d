//! The size of an image.

/// The format of a batch of images: rows, columns, channels (1 is grey, 3 is RGB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Numbers per pixel.
    pub channels: usize,
}

impl ImageShape {
    /// Numbers in one image.
    pub fn len(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether an image has no pixels.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}
