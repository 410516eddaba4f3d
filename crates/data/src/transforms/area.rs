//! Resizing by area, with a crop to the middle.

use crate::image_shape::ImageShape;
use crate::images::Scratch;

/// Cuts the largest part of the target's proportions from the middle of an image and scales it to the target: a pixel is
/// the mean of the area that it covers (a box filter), so that no detail flickers and no overshoot appears. Channels are
/// converted as well: grey is repeated, and colour becomes its luma (Rec. 601).
#[derive(Debug, Clone)]
pub struct AreaFilter {
    source: ImageShape,
    target: ImageShape,
    rows: Axis,
    columns: Axis,
}

/// What each target pixel along one axis is a mean of.
#[derive(Debug, Clone)]
struct Axis {
    /// The first source pixel and the range of its and its followers' weights, for each target pixel.
    spans: Vec<(usize, std::ops::Range<usize>)>,
    /// They sum to 1 in each span.
    weights: Vec<f32>,
}

impl Axis {
    /// From `length` source pixels after the first `skip` to `target` ones.
    fn new(skip: usize, length: usize, target: usize) -> Self {
        let (mut spans, mut weights) = (Vec::with_capacity(target), Vec::new());
        // In units of 1 / target of a source pixel everything is whole.
        for pixel in 0..target {
            let (from, to) = (pixel * length, (pixel + 1) * length);
            let (first, last) = (from / target, (to - 1) / target);
            let start = weights.len();
            weights.extend((first..=last).map(|at| {
                let covered = to.min((at + 1) * target) - from.max(at * target);
                covered as f32 / length as f32
            }));
            spans.push((skip + first, start..weights.len()));
        }
        Axis { spans, weights }
    }
}

impl AreaFilter {
    /// From images of one size to images of another.
    ///
    /// # Panics
    /// If either is empty or has other than 1 or 3 channels.
    pub fn new(source: ImageShape, target: ImageShape) -> Self {
        for shape in [source, target] {
            assert!(!shape.is_empty() && [1, 3].contains(&shape.channels), "{shape:?}");
        }
        let (height, width) = cropped(source, target);
        AreaFilter {
            source,
            target,
            rows: Axis::new((source.height - height) / 2, height, target.height),
            columns: Axis::new((source.width - width) / 2, width, target.width),
        }
    }

    /// Scales `image` to `pixels`.
    ///
    /// # Panics
    /// If a length is not its shape's.
    pub fn apply(&self, image: &[u8], pixels: &mut [u8], scratch: &mut Scratch) {
        let AreaFilter { source, target, rows, columns } = self;
        assert_eq!((image.len(), pixels.len()), (source.len(), target.len()));
        let channels = source.channels;
        let mut sums = scratch.take_floats(target.width * channels);
        for (out, (top, span)) in pixels.chunks_exact_mut(target.width * target.channels).zip(&rows.spans) {
            sums.fill(0.0);
            let lines = image[top * source.width * channels..].chunks_exact(source.width * channels);
            for (line, &down) in lines.zip(&rows.weights[span.clone()]) {
                for (sums, (left, span)) in sums.chunks_exact_mut(channels).zip(&columns.spans) {
                    let values = line[left * channels..].chunks_exact(channels);
                    for (values, &across) in values.zip(&columns.weights[span.clone()]) {
                        for (sum, &value) in sums.iter_mut().zip(values) {
                            *sum += down * across * f32::from(value);
                        }
                    }
                }
            }
            let sums = sums.chunks_exact(channels);
            for (pixel, sums) in out.chunks_exact_mut(target.channels).zip(sums) {
                match (sums, pixel) {
                    ([grey], pixel) => pixel.fill(grey.round() as u8),
                    ([r, g, b], [pixel]) => *pixel = (0.299 * r + 0.587 * g + 0.114 * b).round() as u8,
                    (sums, pixel) => {
                        pixel.iter_mut().zip(sums).for_each(|(value, sum)| *value = sum.round() as u8);
                    }
                }
            }
        }
        scratch.give_floats(sums);
    }
}

/// The height and width of the largest part of `source` with the proportions of `target`: at least one pixel each.
fn cropped(source: ImageShape, target: ImageShape) -> (usize, usize) {
    let scale = |length: usize, by: usize, of: usize| ((length * by + of / 2) / of).max(1);
    if source.width * target.height > source.height * target.width {
        (source.height, scale(source.height, target.width, target.height).min(source.width))
    } else {
        (scale(source.width, target.height, target.width).min(source.height), source.width)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(height: usize, width: usize, channels: usize) -> ImageShape {
        ImageShape { height, width, channels }
    }

    fn scaled(image: &[u8], source: ImageShape, target: ImageShape) -> Vec<u8> {
        let mut pixels = vec![7; target.len()];
        AreaFilter::new(source, target).apply(image, &mut pixels, &mut Scratch::default());
        pixels
    }

    #[test]
    fn a_pixel_is_the_mean_of_what_it_covers() {
        let halved = scaled(&[0, 100, 10, 20, 100, 200, 30, 40], shape(2, 4, 1), shape(1, 2, 1));
        assert_eq!(halved, [100, 25]);
        // Three pixels to two: the middle one is shared.
        assert_eq!(scaled(&[30, 60, 90].repeat(3), shape(3, 3, 1), shape(2, 2, 1)), [40, 80, 40, 80]);
        assert_eq!(scaled(&[0, 255], shape(1, 2, 1), shape(1, 4, 1)), [0, 0, 255, 255]);
        assert_eq!(scaled(&[0, 90], shape(1, 2, 1), shape(1, 3, 1)), [0, 45, 90]);
    }

    #[test]
    fn the_middle_is_kept() {
        assert_eq!(scaled(&[1, 2, 3, 4, 5], shape(1, 5, 1), shape(1, 1, 1)), [3]);
        assert_eq!(scaled(&[1, 2, 3, 4, 5], shape(5, 1, 1), shape(1, 1, 1)), [3]);
        // 2 by 4 to a square: one column goes on each side.
        assert_eq!(scaled(&[9, 1, 2, 9, 9, 3, 4, 9], shape(2, 4, 1), shape(2, 2, 1)), [1, 2, 3, 4]);
    }

    #[test]
    fn channels_are_repeated_kept_or_weighed() {
        assert_eq!(scaled(&[5, 9], shape(1, 2, 1), shape(1, 2, 3)), [5, 5, 5, 9, 9, 9]);
        let colours = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
        assert_eq!(scaled(&colours, shape(1, 4, 3), shape(1, 4, 1)), [76, 150, 29, 255]);
        assert_eq!(scaled(&colours, shape(1, 4, 3), shape(1, 4, 3)), colours);
        assert_eq!(scaled(&colours[..6], shape(1, 2, 3), shape(1, 1, 3)), [255, 0, 0]);
    }

    proptest! {
        #[test]
        fn any_size_becomes_any_other_and_even_images_stay_even(
            source in (1usize..40, 1usize..40, prop_oneof![Just(1usize), Just(3)]),
            target in (1usize..40, 1usize..40, prop_oneof![Just(1usize), Just(3)]),
            level: u8,
        ) {
            let (source, target) = (shape(source.0, source.1, source.2), shape(target.0, target.1, target.2));
            let pixels = scaled(&vec![level; source.len()], source, target);
            prop_assert!(pixels.iter().all(|&pixel| pixel.abs_diff(level) <= 1), "{:?}", pixels);
        }

        #[test]
        fn the_mean_is_kept_where_nothing_is_cut(side in 1usize..20, target in 1usize..20, seed: u64) {
            let mut stream = gannet_random::Stream::new(seed, "pixels", 0);
            let image: Vec<u8> = (0..side * side).map(|_| stream.below(256) as u8).collect();
            let pixels = scaled(&image, shape(side, side, 1), shape(target, target, 1));
            let mean = |pixels: &[u8]| pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / pixels.len() as f64;
            prop_assert!((mean(&image) - mean(&pixels)).abs() < 0.51);
        }
    }
}
