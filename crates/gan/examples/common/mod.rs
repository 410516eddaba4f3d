//! The digits for the examples.

use std::io::Read;

use flate2::read::GzDecoder;
use gannet::random::Stream;

/// The header of an IDX file of images: a magic number and three sizes.
const HEADER: usize = 16;

/// The digits in the file.
pub(crate) const DIGITS: usize = 60_000;

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
        GzDecoder::new(gannet_mnist_train::IMAGES).read_to_end(&mut bytes)?;
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

/// How many steps of `batch` images to train: `--steps N`, or `--epochs N` for N times all digits, or else `default`.
/// Errors when the command line says anything else, but for the word `also`, whose presence is returned.
pub(crate) fn steps(default: usize, batch: usize, also: Option<&str>) -> Result<(usize, bool), String> {
    let usage = || {
        let also = also.map(|word| format!(" [{word}]")).unwrap_or_default();
        format!("expected [--steps N | --epochs N]{also}, N a whole number from 1")
    };
    let (mut steps, mut found) = (default, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if Some(word.as_str()) == also {
            found = true;
            continue;
        }
        let per = match word.as_str() {
            "--steps" => 1,
            "--epochs" => DIGITS.div_ceil(batch),
            _ => return Err(usage()),
        };
        let n: Option<usize> = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        steps = n.and_then(|n| n.checked_mul(per)).ok_or_else(usage)?;
    }
    Ok((steps, found))
}

/// Digits [n, 28, 28, 1] in three equal channels [n, 28, 28, 3].
#[allow(dead_code)] // each example uses what it needs
pub(crate) fn in_three_channels(digits: Vec<f32>) -> Vec<f32> {
    digits.into_iter().flat_map(|pixel| [pixel; 3]).collect()
}

/// Digits [n, 28, 28, 1] each in a colour of its own on a ground of another [n, 28, 28, 3]: a test of modes, for
/// colours that never come out are seen at once.
#[allow(dead_code)] // each example uses what it needs
pub(crate) fn coloured(digits: &[f32], colours: &mut Stream) -> Vec<f32> {
    let mut colour = || [0; 3].map(|_| colours.uniform(-1.0, 1.0) as f32);
    digits
        .chunks_exact(PIXELS)
        .flat_map(|digit| {
            let (ink, ground) = (colour(), colour());
            let mix = move |pixel: f32, c: usize| ground[c] + (ink[c] - ground[c]) * (pixel + 1.0) / 2.0;
            digit.iter().flat_map(move |pixel| [0, 1, 2].map(|c| mix(*pixel, c)))
        })
        .collect()
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
