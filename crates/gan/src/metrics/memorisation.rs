//! Whether generated images are copies of training images.

use std::collections::HashSet;

use rayon::prelude::*;

use crate::error::{Error, Result};

/// The sides of the squares whose sums stand for an image at first. Of MNIST's training images, the sums over 4 by 4
/// pixels leave 12 % that might be nearer than the second nearest so far, and those over 2 by 2 pixels 0.2 %.
const SIDES: [usize; 2] = [4, 2];

/// Training images of a tile: their sums stay in a core's cache while many images pass over them.
const TILE: usize = 512;

/// Images that one task looks up.
const BLOCK: usize = 32;

/// An image counts as a copy when its nearest training image is at less than this share of the distance of the
/// second nearest.
const COPY_RATIO: f64 = 0.5;

/// So many more copies than among test images, as a share of all, are suspicious,
const SUSPICIOUS_SHARE: f64 = 0.01;

/// once so many standard errors for chance are taken off.
const STANDARD_ERRORS: f64 = 3.0;

/// The two training images nearest to an image. Distances are sums of squared differences of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Neighbour {
    /// The number of the nearest training image; the first of several that are equally near.
    pub index: usize,
    /// Its squared distance.
    pub squared: u64,
    /// The squared distance of the second nearest.
    pub second_squared: u64,
}

impl Neighbour {
    fn is_copy(&self) -> bool {
        self.squared == 0 || (self.squared as f64) < COPY_RATIO * COPY_RATIO * self.second_squared as f64
    }
}

/// The nearest two of `training` for each of `images`: both [N, height, width, channels] of bytes, of the given
/// `shape` [height, width, channels]. The search is exact: it passes over an image only where the sums over squares
/// of s by s pixels show that it is further away (by Cauchy and Schwarz, the squared difference of two sums is at most
/// s^2 times the sum of the squared differences).
///
/// Errors when an image is not whole, when there is none, and when there are fewer than two training images.
pub fn nearest_neighbours(images: &[u8], training: &[u8], shape: [usize; 3]) -> Result<Vec<Neighbour>> {
    let size: usize = shape.iter().product();
    let whole = |bytes: &[u8]| size > 0 && bytes.len().is_multiple_of(size);
    if !whole(images) || !whole(training) || images.is_empty() || training.len() < 2 * size {
        return Err(Error::invalid(format!(
            "a search for neighbours needs whole images of {shape:?}, at least one, and at least two training images; \
             got {} and {} bytes",
            images.len(),
            training.len()
        )));
    }
    let sums = SIDES.map(|side| Sums::of(training, shape, side));
    let blocks = images.par_chunks(BLOCK * size);
    Ok(blocks.flat_map_iter(|block| search(block, training, &sums, shape)).collect())
}

/// The neighbours of the images of one block.
fn search(images: &[u8], training: &[u8], sums: &[Sums; 2], shape: [usize; 3]) -> Vec<Neighbour> {
    let size: usize = shape.iter().product();
    let own = SIDES.map(|side| Sums::of(images, shape, side));
    let limits =
        |best: &Neighbour| SIDES.map(|side| best.second_squared.saturating_mul((side * side) as u64));
    let unknown = Neighbour { index: 0, squared: u64::MAX, second_squared: u64::MAX };
    let mut found = vec![unknown; images.len() / size];
    let mut coarse = [0; TILE];
    for (tile, candidates) in training.chunks(TILE * size).enumerate() {
        for (n, (image, best)) in images.chunks_exact(size).zip(&mut found).enumerate() {
            // All at once, so that the loop stays small: it is where the time goes.
            for (difference, row) in coarse.iter_mut().zip(sums[0].rows_from(tile * TILE)) {
                *difference = squared_difference(own[0].row(n), row);
            }
            let mut limit = limits(best);
            for (k, candidate) in candidates.chunks_exact(size).enumerate() {
                let index = tile * TILE + k;
                if coarse[k] >= limit[0] || squared_difference(own[1].row(n), sums[1].row(index)) >= limit[1]
                {
                    continue;
                }
                let squared = squared_difference(image, candidate);
                if squared < best.squared {
                    *best = Neighbour { index, squared, second_squared: best.squared };
                } else {
                    best.second_squared = best.second_squared.min(squared);
                }
                limit = limits(best);
            }
        }
    }
    found
}

/// For each image and channel the sums over squares of pixels, those at the right and lower edge as far as they
/// reach.
struct Sums {
    values: Vec<i16>,
    /// The sums of one image, and zeros up to a multiple of [`LANES`].
    stride: usize,
}

impl Sums {
    fn of(images: &[u8], [height, width, channels]: [usize; 3], side: usize) -> Sums {
        let columns = width.div_ceil(side) * channels;
        let stride = (height.div_ceil(side) * columns).next_multiple_of(LANES);
        let mut values = vec![0; images.len() / (height * width * channels) * stride];
        for (image, sums) in
            images.chunks_exact(height * width * channels).zip(values.chunks_exact_mut(stride))
        {
            for (y, row) in image.chunks_exact(width * channels).enumerate() {
                for (x, pixel) in row.chunks_exact(channels).enumerate() {
                    let to = &mut sums[y / side * columns + x / side * channels..];
                    to.iter_mut().zip(pixel).for_each(|(sum, &byte)| *sum += i16::from(byte));
                }
            }
        }
        Sums { values, stride }
    }

    fn row(&self, index: usize) -> &[i16] {
        &self.values[index * self.stride..][..self.stride]
    }

    fn rows_from(&self, index: usize) -> std::slice::ChunksExact<'_, i16> {
        self.values[index * self.stride..].chunks_exact(self.stride)
    }
}

/// Numbers that fill whole vector registers.
const LANES: usize = 16;

/// As many squared differences of sums of 16 bytes as are sure to fit in an i32.
const CHUNK: usize = 128;

/// The sum of squared differences of bytes, or of sums of up to 16 bytes.
fn squared_difference<T: Copy + Into<i16>>(a: &[T], b: &[T]) -> u64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<CHUNK>(), b.as_chunks::<CHUNK>());
    let mut whole = 0;
    for (a, b) in a.iter().zip(b) {
        let mut sum = 0i32;
        for i in 0..CHUNK {
            sum += squared(a[i], b[i]);
        }
        whole += sum as u64;
    }
    let ((a, a_rest), (b, b_rest)) = (a_rest.as_chunks::<LANES>(), b_rest.as_chunks::<LANES>());
    // One sum over all chunks, not one of each: it stays a vector until the end, which is six times as fast.
    let mut rest = 0i32;
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            rest += squared(a[i], b[i]);
        }
    }
    for (&a, &b) in a_rest.iter().zip(b_rest) {
        rest += squared(a, b);
    }
    whole + rest as u64
}

fn squared<T: Into<i16>>(a: T, b: T) -> i32 {
    let difference = i32::from(a.into() - b.into());
    difference * difference
}

/// How near the images of a set come to the training images.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Closeness {
    /// How many images were looked up.
    pub images: usize,
    /// The median over the images of the distance to the nearest training image: the root of the mean squared
    /// difference of the pixels, in grey levels of 0 to 255.
    pub median_distance: f64,
    /// The share of images that are much nearer to one training image than to any other: at less than half of the
    /// distance of the second nearest.
    pub copies: f64,
    /// The share of images that are a training image, byte for byte.
    pub duplicates: f64,
}

impl Closeness {
    /// Looks up each image of `images` among `training`: both [N, height, width, channels] of bytes. Errors as
    /// [`nearest_neighbours`] does.
    pub fn of(images: &[u8], training: &[u8], shape: [usize; 3]) -> Result<Closeness> {
        let neighbours = nearest_neighbours(images, training, shape)?;
        let size: usize = shape.iter().product();
        let mut squared: Vec<u64> = neighbours.iter().map(|n| n.squared).collect();
        squared.sort_unstable();
        let median = squared[squared.len() / 2];
        let share = |count: usize| count as f64 / neighbours.len() as f64;
        let known: HashSet<&[u8]> = training.chunks_exact(size).collect();
        Ok(Closeness {
            images: neighbours.len(),
            median_distance: (median as f64 / size as f64).sqrt(),
            copies: share(neighbours.iter().filter(|n| n.is_copy()).count()),
            duplicates: share(images.chunks_exact(size).filter(|image| known.contains(image)).count()),
        })
    }
}

/// The nearest training images of generated images, beside those of test images, which cannot be copies.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Memorisation {
    /// Of the generated images.
    pub generated: Closeness,
    /// Of the test images.
    pub test: Closeness,
}

impl Memorisation {
    /// Looks up each image of `generated` and of `test` among `training`: all [N, height, width, channels] of bytes.
    ///
    /// That one training image is much nearer than the next is what tells a copy from an image that is merely
    /// typical (the test of Carlini et al. 2023, "Extracting Training Data from Diffusion Models", here with one
    /// neighbour to compare with). Errors as [`nearest_neighbours`] does.
    pub fn check(generated: &[u8], test: &[u8], training: &[u8], shape: [usize; 3]) -> Result<Memorisation> {
        let closeness = |images| Closeness::of(images, training, shape);
        Ok(Memorisation::between(closeness(generated)?, closeness(test)?))
    }

    /// Of generated and of test images that were looked up among different training images.
    pub fn between(generated: Closeness, test: Closeness) -> Memorisation {
        Memorisation { generated, test }
    }

    /// Whether copies or duplicates are more frequent than among the test images: by more than one in a hundred,
    /// and three standard errors of such a difference.
    pub fn is_suspicious(&self) -> bool {
        let (n, m) = (self.generated.images as f64, self.test.images as f64);
        let exceeds = |generated: f64, test: f64| {
            let pooled = (generated * n + test * m) / (n + m);
            let standard_error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
            generated - test > SUSPICIOUS_SHARE + STANDARD_ERRORS * standard_error
        };
        exceeds(self.generated.copies, self.test.copies)
            || exceeds(self.generated.duplicates, self.test.duplicates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    /// Images of three bright blobs each, at random places and of random sizes.
    fn blobs(name: &str, n: usize, [height, width, channels]: [usize; 3]) -> Vec<u8> {
        let mut stream = Stream::new(11, name, 0);
        let mut images = Vec::new();
        for _ in 0..n {
            let blobs = [(); 3].map(|()| {
                let mut draw = |high: usize| stream.uniform(0.0, high as f64);
                (draw(height), draw(width), 1.0 + draw(3))
            });
            for pixel in 0..height * width {
                let bright: f64 = blobs
                    .iter()
                    .map(|(y, x, radius)| {
                        let (dy, dx) = ((pixel / width) as f64 - y, (pixel % width) as f64 - x);
                        (-(dy * dy + dx * dx) / (radius * radius)).exp()
                    })
                    .sum();
                images.extend((0..channels).map(|c| (255.0 * bright / (c + 1) as f64) as u8));
            }
        }
        images
    }

    #[test]
    fn neighbours_are_those_of_an_exhaustive_search() {
        for shape in [[12, 12, 1], [9, 14, 3], [3, 5, 2], [1, 1, 1]] {
            let size: usize = shape.iter().product();
            let (images, training) = (blobs("images", 70, shape), blobs("training", TILE + 90, shape));
            let found = nearest_neighbours(&images, &training, shape).unwrap();
            assert_eq!(found.len(), 70);
            for (image, found) in images.chunks_exact(size).zip(found) {
                let squared = |other: &[u8]| -> u64 {
                    image.iter().zip(other).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum()
                };
                let mut all: Vec<(u64, usize)> =
                    training.chunks_exact(size).enumerate().map(|(i, other)| (squared(other), i)).collect();
                all.sort_unstable();
                assert_eq!(
                    (found.squared, found.index, found.second_squared),
                    (all[0].0, all[0].1, all[1].0)
                );
            }
        }
    }

    #[test]
    fn the_largest_differences_do_not_overflow() {
        let shape = [64, 64, 3];
        let (white, black) = (vec![255; 64 * 64 * 3], vec![0; 2 * 64 * 64 * 3]);
        let found = nearest_neighbours(&white, &black, shape).unwrap();
        let far = 64 * 64 * 3 * 255 * 255;
        assert_eq!(found, [Neighbour { index: 0, squared: far, second_squared: far }]);
    }

    #[test]
    fn copies_trip_the_check_and_other_images_do_not() {
        let shape = [16, 16, 1];
        let (training, test) = (blobs("training", 1500, shape), blobs("test", 300, shape));
        let check = |generated: &[u8]| Memorisation::check(generated, &test, &training, shape).unwrap();

        let fresh = check(&blobs("generated", 300, shape));
        assert!(!fresh.is_suspicious(), "{fresh:?}");

        let copied = check(&training[..300 * 256]);
        assert_eq!((copied.generated.median_distance, copied.generated.duplicates), (0.0, 1.0));
        assert!(copied.is_suspicious());

        // Copies with a little noise are no duplicates, but still copies.
        let mut stream = Stream::new(1, "noise", 0);
        let noisy: Vec<u8> =
            training[..300 * 256].iter().map(|&byte| byte.saturating_add(stream.below(3) as u8)).collect();
        let noisy = check(&noisy);
        assert_eq!(noisy.generated.duplicates, 0.0);
        assert!(noisy.is_suspicious(), "{noisy:?}");

        // One copy in ten is enough.
        let few = check(&[blobs("generated", 270, shape), training[..30 * 256].to_vec()].concat());
        assert!(few.is_suspicious(), "{few:?}");
    }

    #[test]
    fn images_that_do_not_fit_are_refused() {
        for (images, training) in [(0, 50), (7, 50), (25, 51), (25, 25), (25, 0)] {
            let message =
                nearest_neighbours(&vec![0; images], &vec![0; training], [5, 5, 1]).unwrap_err().to_string();
            assert!(message.contains("whole images of [5, 5, 1]"), "{message}");
        }
        assert!(nearest_neighbours(&[0], &[0, 0], [0, 5, 1]).is_err());
    }
}
