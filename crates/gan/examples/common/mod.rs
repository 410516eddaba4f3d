//! The digits for the examples: the MNIST files that stand in this repository.

use std::io::Read;

use flate2::read::GzDecoder;
use gannet::random::Stream;

const FILE: &[u8] = include_bytes!("../../../gan-mnist/data/mnist/train-images-idx3-ubyte.gz");

/// The header of an IDX file of images: a magic number and three sizes.
const HEADER: usize = 16;

/// The pixels of a digit: 28 rows of 28.
pub(crate) const PIXELS: usize = 28 * 28;

/// The 60,000 training digits of MNIST.
pub(crate) struct Digits {
    bytes: Vec<u8>,
    order: Stream,
}

impl Digits {
    /// Unpacks them.
    pub(crate) fn new(seed: u64) -> std::io::Result<Digits> {
        let mut bytes = Vec::new();
        GzDecoder::new(FILE).read_to_end(&mut bytes)?;
        Ok(Digits { bytes, order: Stream::new(seed, "digits", 0) })
    }

    /// `n` digits drawn at random, [n, 28, 28, 1] in [-1, 1].
    pub(crate) fn batch(&mut self, n: usize) -> Vec<f32> {
        let count = ((self.bytes.len() - HEADER) / PIXELS) as u32;
        let mut images = Vec::with_capacity(n * PIXELS);
        for _ in 0..n {
            let start = HEADER + self.order.below(count) as usize * PIXELS;
            images.extend(self.bytes[start..start + PIXELS].iter().map(|b| f32::from(*b) / 127.5 - 1.0));
        }
        images
    }
}

/// The first number on the command line, or `default`: how many steps to train.
pub(crate) fn steps(default: usize) -> usize {
    std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Images [n, 28, 28, channels] side by side as text, by the brightness of their pixels.
pub(crate) fn show(images: &[f32], n: usize) {
    let (channels, shades) = (images.len() / n / PIXELS, b" .:-=+*#%@");
    for row in 0..28 {
        let mut line = String::new();
        for image in 0..n {
            for column in 0..28 {
                let pixel = (image * PIXELS + row * 28 + column) * channels;
                let value = images[pixel..pixel + channels].iter().sum::<f32>() / channels as f32;
                let shade = (value + 1.0) / 2.0 * (shades.len() - 1) as f32;
                line.push(char::from(shades[shade.round().clamp(0.0, 9.0) as usize]));
            }
        }
        println!("{line}");
    }
}
