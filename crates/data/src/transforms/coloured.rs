//! Grey images in colour: tinted, on a ground of another colour.
//!
//! Digits of a colour on a ground of a colour are an old test of whether a generator finds all modes: a colour is easily
//! seen, and there is no reason why one should be missing.

use std::sync::Arc;

use gannet_random::Stream;

use crate::error::Result;
use crate::image_shape::ImageShape;
use crate::images::{Images, Scratch};

/// The least difference in brightness between a digit and its ground, in levels of 0 to 255, so that each can be read.
const CONTRAST: f64 = 64.0;

/// A grey set with each image in two colours of its own: black becomes the one, white the other, grey what lies
/// between. The colours follow from a seed and the image's number; classes stay.
#[derive(Debug)]
pub struct Coloured {
    grey: Arc<dyn Images>,
    seed: u64,
}

impl Coloured {
    /// Colours the images of `grey`.
    ///
    /// # Panics
    /// If those have more than one channel.
    pub fn new(grey: Arc<dyn Images>, seed: u64) -> Self {
        assert_eq!(grey.shape().channels, 1);
        Coloured { grey, seed }
    }

    /// The colours of black and of white in the image `index`.
    fn colours(&self, index: usize) -> [[u8; 3]; 2] {
        let mut stream = Stream::new(self.seed, "colour", index as u64);
        loop {
            let colours = [(); 2].map(|()| [(); 3].map(|()| stream.below(256) as u8));
            let [ground, digit] = colours.map(brightness);
            if (ground - digit).abs() >= CONTRAST {
                return colours;
            }
        }
    }
}

/// How bright a colour is, 0 to 255 (luma of Rec. 601).
fn brightness([r, g, b]: [u8; 3]) -> f64 {
    0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b)
}

impl Images for Coloured {
    fn len(&self) -> usize {
        self.grey.len()
    }

    fn shape(&self) -> ImageShape {
        ImageShape { channels: 3, ..self.grey.shape() }
    }

    fn classes(&self) -> Option<usize> {
        self.grey.classes()
    }

    fn read(&self, index: usize, pixels: &mut [u8], scratch: &mut Scratch) -> Result<u32> {
        let mut grey = scratch.take(self.grey.shape().len());
        let result = self.grey.read(index, &mut grey, scratch);
        let [ground, digit] = self.colours(index);
        for (pixel, &level) in pixels.chunks_exact_mut(3).zip(&grey) {
            let level = u32::from(level);
            for (value, (low, high)) in pixel.iter_mut().zip(ground.into_iter().zip(digit)) {
                // Rounded to the nearest, and at most 255.
                *value = ((u32::from(low) * (255 - level) + u32::from(high) * level + 127) / 255) as u8;
            }
        }
        scratch.give(grey);
        result
    }

    fn is_slow(&self) -> bool {
        self.grey.is_slow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labelled_images::LabelledImages;

    fn coloured(seed: u64) -> Coloured {
        let shape = ImageShape { height: 1, width: 3, channels: 1 };
        let grey = LabelledImages::labelled(shape, [0, 255, 128].repeat(500), vec![1; 500], 2);
        Coloured::new(Arc::new(grey), seed)
    }

    fn read(images: &Coloured, index: usize) -> Vec<u8> {
        let mut pixels = vec![0; 9];
        assert_eq!(images.read(index, &mut pixels, &mut Scratch::default()).unwrap(), 1);
        pixels
    }

    #[test]
    fn black_and_white_become_the_colours_and_grey_what_lies_between() {
        let images = coloured(7);
        for index in 0..500 {
            let [ground, digit] = images.colours(index);
            let pixels = read(&images, index);
            assert_eq!((&pixels[..3], &pixels[3..6]), (&ground[..], &digit[..]));
            for channel in 0..3 {
                let half = (f64::from(ground[channel]) * 127.0 + f64::from(digit[channel]) * 128.0) / 255.0;
                assert!((f64::from(pixels[6 + channel]) - half).abs() <= 0.51, "{pixels:?}");
            }
            assert!((brightness(ground) - brightness(digit)).abs() >= CONTRAST);
        }
    }

    #[test]
    fn colours_follow_from_the_seed_and_fill_the_cube() {
        assert_eq!(read(&coloured(7), 3), read(&coloured(7), 3));
        assert_ne!(read(&coloured(7), 3), read(&coloured(8), 3));
        // A literal, so that no update of a dependency changes what a seed means.
        assert_eq!(coloured(42).colours(0), [[2, 76, 164], [225, 222, 2]]);
        let grounds: Vec<[u8; 3]> = (0..500).map(|index| coloured(7).colours(index)[0]).collect();
        for channel in 0..3 {
            let high = grounds.iter().filter(|ground| ground[channel] >= 128).count();
            assert!((200..300).contains(&high), "{high}");
        }
    }
}
