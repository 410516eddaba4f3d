#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

/// `t10k-images-idx3-ubyte.gz`: 10,000 images of 28 by 28 pixels, a byte each, 0 for the ground and 255 for ink.
pub static IMAGES: &[u8] = include_bytes!("../t10k-images-idx3-ubyte.gz");

/// `t10k-labels-idx1-ubyte.gz`: which digit each image shows, a byte each.
pub static LABELS: &[u8] = include_bytes!("../t10k-labels-idx1-ubyte.gz");
