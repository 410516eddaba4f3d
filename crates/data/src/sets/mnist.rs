//! The MNIST database of handwritten digits, embedded.
//!
//! Y. LeCun, C. Cortes, C. J. C. Burges; Creative Commons Attribution-ShareAlike 3.0. See
//! `data/mnist/README.md`.

use flate2::read::GzDecoder;

use crate::error::{Error, Result};
use crate::formats::idx::read_idx;
use crate::labelled_images::LabelledImages;
use crate::split::Split;

/// How many images the training part has; the test part has 10,000.
pub const TRAIN_IMAGES: u64 = 60_000;

/// The checksums of the four files.
pub(crate) const SHA256SUMS: &str = include_str!("../../data/mnist/SHA256SUMS");

/// The name and the packed bytes of an embedded file.
type Embedded = (&'static str, &'static [u8]);

/// The images of a part, and their labels.
fn files(split: Split) -> [Embedded; 2] {
    match split {
        Split::Train => [
            ("train-images-idx3-ubyte.gz", gannet_mnist_train::IMAGES),
            ("train-labels-idx1-ubyte.gz", gannet_mnist_train::LABELS),
        ],
        Split::Test => [
            ("t10k-images-idx3-ubyte.gz", gannet_mnist_test::IMAGES),
            ("t10k-labels-idx1-ubyte.gz", gannet_mnist_test::LABELS),
        ],
    }
}

/// Unpacks one part of MNIST: 28 by 28 pixels, one channel, ten classes.
pub fn load(split: Split) -> Result<LabelledImages> {
    let [images, labels] = files(split);
    let read = |(name, packed): Embedded| read_idx(name, GzDecoder::new(packed)).map_err(Error::failure);
    LabelledImages::from_idx((images.0, read(images)?), (labels.0, read(labels)?), 10)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::files::hexadecimal;
    use crate::images::Images;

    #[test]
    fn the_embedded_files_have_their_checksums() {
        let files = [files(Split::Train), files(Split::Test)].concat();
        assert_eq!(SHA256SUMS.lines().count(), files.len());
        for (name, bytes) in files {
            let sum = hexadecimal(&Sha256::digest(bytes));
            let line = format!("{sum}  {name}");
            assert!(SHA256SUMS.lines().any(|l| l == line), "{line} does not stand in SHA256SUMS");
        }
    }

    #[test]
    fn both_parts_have_their_sizes_and_classes() {
        // Images per class, as counted with independent tools.
        let train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
        let test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
        assert_eq!(train.iter().sum::<usize>() as u64, TRAIN_IMAGES);
        for (split, counts) in [(Split::Train, train), (Split::Test, test)] {
            let set = load(split).unwrap();
            assert_eq!((set.shape().height, set.shape().width, set.shape().channels), (28, 28, 1));
            let mut found = [0usize; 10];
            set.labels().unwrap().iter().for_each(|&label| found[label as usize] += 1);
            assert_eq!(found, counts);
            assert_eq!(set.len(), counts.iter().sum::<usize>());
        }
    }
}
