#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

/// `train-images-idx3-ubyte.gz`: 60,000 images of 28 by 28 pixels, a byte each, 0 for the ground and 255 for ink.
pub static IMAGES: &[u8] = include_bytes!("../train-images-idx3-ubyte.gz");

/// `train-labels-idx1-ubyte.gz`: which digit each image shows, a byte each.
pub static LABELS: &[u8] = include_bytes!("../train-labels-idx1-ubyte.gz");
