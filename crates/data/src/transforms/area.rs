//! Resizing by area, with a crop to the middle, a border, or neither.

use crate::image_shape::ImageShape;
use crate::images::Scratch;

/// How an image gets other proportions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Resize {
    /// The largest part of the right proportions is cut from its middle.
    #[default]
    Crop,
    /// It is kept whole; what it does not fill is black, or transparent.
    Pad,
    /// It is stretched.
    Stretch,
}

impl Resize {
    /// All of them.
    pub const ALL: [Resize; 3] = [Resize::Crop, Resize::Pad, Resize::Stretch];

    /// `crop`, `pad` or `stretch`.
    pub fn name(self) -> &'static str {
        match self {
            Resize::Crop => "crop",
            Resize::Pad => "pad",
            Resize::Stretch => "stretch",
        }
    }
}

impl std::str::FromStr for Resize {
    type Err = crate::Error;

    fn from_str(name: &str) -> crate::Result<Self> {
        Resize::ALL.into_iter().find(|resize| resize.name() == name).ok_or_else(|| {
            let known = Resize::ALL.map(Resize::name).join(", ");
            crate::Error::failure(format!("there is no way {name} to resize images; there are: {known}"))
        })
    }
}

/// Brings an image into the target's proportions as [`Resize`] says and scales it to the target: a pixel is the mean of
/// the area that it covers (a box filter), so that no detail flickers and no overshoot appears. Channels are converted as
/// well: grey is repeated, colour becomes its luma (Rec. 601), and what was transparent becomes white. Of four channels
/// the last is alpha, by which the others are multiplied already.
#[derive(Debug, Clone)]
pub struct AreaFilter {
    source: ImageShape,
    target: ImageShape,
    /// The part of the target that the image fills: its first row and column, and its size.
    top: usize,
    left: usize,
    inner: (usize, usize),
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
    /// From images of one size to images of another, which are cropped where proportions differ.
    ///
    /// # Panics
    /// If either is empty or has other than 1, 3 or 4 channels.
    pub fn new(source: ImageShape, target: ImageShape) -> Self {
        AreaFilter::resizing(source, target, Resize::Crop)
    }

    /// The same with a choice.
    ///
    /// # Panics
    /// If either is empty or has other than 1, 3 or 4 channels.
    pub fn resizing(source: ImageShape, target: ImageShape, resize: Resize) -> Self {
        for shape in [source, target] {
            assert!(!shape.is_empty() && [1, 3, 4].contains(&shape.channels), "{shape:?}");
        }
        let (height, width) = AreaFilter::used(source, target, resize);
        // What fits into the target is what a target of the source's proportions would crop from it.
        let inner = match resize {
            Resize::Pad => cropped(target, source),
            Resize::Crop | Resize::Stretch => (target.height, target.width),
        };
        AreaFilter {
            source,
            target,
            top: (target.height - inner.0) / 2,
            left: (target.width - inner.1) / 2,
            inner,
            rows: Axis::new((source.height - height) / 2, height, inner.0),
            columns: Axis::new((source.width - width) / 2, width, inner.1),
        }
    }

    /// The rows and columns of an image that are kept.
    pub fn used(source: ImageShape, target: ImageShape, resize: Resize) -> (usize, usize) {
        match resize {
            Resize::Crop => cropped(source, target),
            Resize::Pad | Resize::Stretch => (source.height, source.width),
        }
    }

    /// Scales `image` to `pixels`.
    ///
    /// # Panics
    /// If a length is not its shape's.
    pub fn apply(&self, image: &[u8], pixels: &mut [u8], scratch: &mut Scratch) {
        let AreaFilter { source, target, top, left, inner, rows, columns } = self;
        assert_eq!((image.len(), pixels.len()), (source.len(), target.len()));
        let channels = source.channels;
        if *inner != (target.height, target.width) {
            pixels.fill(0);
        }
        let mut sums = scratch.take_floats(inner.1 * channels);
        let lines_out = pixels.chunks_exact_mut(target.width * target.channels).skip(*top);
        for (out, (top, span)) in lines_out.zip(&rows.spans) {
            let out = &mut out[left * target.channels..][..inner.1 * target.channels];
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
                    ([grey], [r, g, b, alpha]) => {
                        [*r, *g, *b] = [grey.round() as u8; 3];
                        *alpha = u8::MAX;
                    }
                    ([grey], pixel) => pixel.fill(grey.round() as u8),
                    ([colour @ .., alpha], pixel) if channels == 4 && pixel.len() < 4 => {
                        let [r, g, b] = [0, 1, 2].map(|k| (colour[k] + 255.0 - alpha).clamp(0.0, 255.0));
                        match pixel {
                            [grey] => *grey = (0.299 * r + 0.587 * g + 0.114 * b).round() as u8,
                            pixel => pixel.copy_from_slice(&[r, g, b].map(|value| value.round() as u8)),
                        }
                    }
                    ([r, g, b], [red, green, blue, alpha]) => {
                        [*red, *green, *blue] = [r, g, b].map(|value| value.round() as u8);
                        *alpha = u8::MAX;
                    }
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

    #[test]
    fn a_whole_image_is_padded_or_stretched() {
        let resized = |image: &[u8], source, target: ImageShape, resize| {
            let mut pixels = vec![7; target.len()];
            AreaFilter::resizing(source, target, resize).apply(image, &mut pixels, &mut Scratch::default());
            pixels
        };
        let wide = shape(1, 2, 1);
        assert_eq!(resized(&[10, 20], wide, shape(2, 2, 1), Resize::Pad), [10, 20, 0, 0]);
        assert_eq!(resized(&[10, 20], wide, shape(3, 2, 1), Resize::Pad), [0, 0, 10, 20, 0, 0]);
        assert_eq!(
            resized(&[10, 20], shape(2, 1, 1), shape(2, 4, 1), Resize::Pad),
            [0, 10, 0, 0, 0, 20, 0, 0]
        );
        assert_eq!(resized(&[10, 20], wide, shape(2, 2, 1), Resize::Stretch), [10, 20, 10, 20]);
        assert_eq!(resized(&[10, 20], wide, shape(2, 2, 1), Resize::Crop).len(), 4);
        // Borders of images with alpha are transparent.
        let padded = resized(&[9, 9, 9, 9], shape(1, 1, 4), shape(1, 2, 4), Resize::Pad);
        assert_eq!(padded, [9, 9, 9, 9, 0, 0, 0, 0]);
        assert_eq!("pad".parse(), Ok(Resize::Pad));
        assert!("fill".parse::<Resize>().unwrap_err().to_string().contains("crop, pad, stretch"));
    }

    #[test]
    fn alpha_is_kept_added_or_laid_on_white() {
        // Half transparent red, as it is kept: multiplied.
        let red = [128, 0, 0, 128];
        assert_eq!(scaled(&red, shape(1, 1, 4), shape(1, 1, 4)), red);
        assert_eq!(scaled(&red, shape(1, 1, 4), shape(1, 1, 3)), [255, 127, 127]);
        assert_eq!(scaled(&red, shape(1, 1, 4), shape(1, 1, 1)), [165]);
        assert_eq!(scaled(&[5], shape(1, 1, 1), shape(1, 1, 4)), [5, 5, 5, 255]);
        assert_eq!(scaled(&[5, 6, 7], shape(1, 1, 3), shape(1, 1, 4)), [5, 6, 7, 255]);
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
