//! The sliced Wasserstein distance of small patches, scale by scale.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::metrics::pyramid::{Plane, laplacian, size_of_level};
use crate::random::Stream;

/// The side of a patch, in pixels of its scale. Smaller pictures are one patch.
const PATCH: usize = 7;

/// How patches are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlicedOptions {
    /// Patches of each scale, spread evenly over the pictures; where there are more pictures, the first so many.
    pub patches: usize,
    /// Directions along which they are compared.
    pub directions: usize,
    /// Fixes where patches lie and where directions point.
    pub seed: u64,
}

impl Default for SlicedOptions {
    /// 65,536 patches along 128 directions.
    fn default() -> SlicedOptions {
        SlicedOptions { patches: 1 << 16, directions: 128, seed: 0 }
    }
}

/// How far pictures are from others at one scale.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScaleDistance {
    /// Rows of a picture at this scale.
    pub height: usize,
    /// Columns of it.
    pub width: usize,
    /// The sliced Wasserstein distance, in standard deviations of the real pictures' numbers at this scale.
    pub distance: f64,
}

/// Real pictures as the sliced Wasserstein distance compares them (Karras et al. 2018, "Progressive Growing of GANs",
/// section 5): patches of 7 x 7 pixels from each level of a Laplacian pyramid, which ends above 16 pixels. Nothing is learnt,
/// so it fits any pictures. It tells wrong colours and shapes (coarse scales) from wrong textures and edges (fine ones), and
/// does not see what is farther apart than a patch.
///
/// Other than in the paper, generated pictures are normalised by the mean and deviation of the real ones, so that wrong
/// contrast and colour count.
#[derive(Clone, Debug)]
pub struct SlicedWasserstein {
    shape: [usize; 3],
    options: SlicedOptions,
    scales: Vec<Scale>,
}

/// What is known of the real pictures at a scale.
#[derive(Clone, Debug)]
struct Scale {
    height: usize,
    width: usize,
    /// [patch, directions]: where patches are projected to.
    directions: Vec<f32>,
    /// What is taken off each projection, `[directions]`: that of the mean.
    shift: Vec<f32>,
    /// Projections of the real patches, [directions, patches], each row in ascending order.
    sorted: Vec<f32>,
}

impl SlicedWasserstein {
    /// Looks at the real pictures: `images` [N, height, width, channels] of bytes. Errors when a picture is not whole, when
    /// there is none, or when an option is 0.
    pub fn of(images: &[u8], shape: [usize; 3], options: SlicedOptions) -> Result<SlicedWasserstein> {
        let images = whole(images, shape)?;
        if options.patches == 0 || options.directions == 0 {
            return Err(Error::invalid(format!(
                "the sliced Wasserstein distance needs at least 1 patch and 1 direction, got {} and {}",
                options.patches, options.directions
            )));
        }
        let mut scales = Vec::new();
        // One scale after another, so that the patches of one alone are held.
        for level in 0.. {
            let Some(patches) = Patches::cut(images, shape, level, options) else { break };
            let (mean, deviation) = patches.moments();
            let (directions, shift) = patches.directions(level, &mean, &deviation, options);
            let sorted = sorted(&patches.projected(&directions, &shift), options.directions);
            let Patches { height, width, .. } = patches;
            scales.push(Scale { height, width, directions, shift, sorted });
        }
        Ok(SlicedWasserstein { shape, options, scales })
    }

    /// How far `images` [N, height, width, channels] of bytes are from the real ones, the finest scale first. Errors when a
    /// picture is not whole or there is none.
    pub fn distances(&self, images: &[u8]) -> Result<Vec<ScaleDistance>> {
        let images = whole(images, self.shape)?;
        let distance = |(level, scale): (usize, &Scale)| {
            let patches = Patches::cut(images, self.shape, level, self.options)
                .unwrap_or_else(|| unreachable!("pictures of one shape have the same scales"));
            let found = sorted(&patches.projected(&scale.directions, &scale.shift), self.options.directions);
            let sums: Vec<f64> = found
                .par_chunks_exact(self.options.patches)
                .zip(scale.sorted.par_chunks_exact(self.options.patches))
                .map(|(a, b)| a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum())
                .collect();
            ScaleDistance {
                height: scale.height,
                width: scale.width,
                distance: sums.iter().sum::<f64>() / found.len() as f64,
            }
        };
        Ok(self.scales.iter().enumerate().map(distance).collect())
    }
}

/// The images, if they are whole and there are some.
fn whole(images: &[u8], shape: [usize; 3]) -> Result<&[u8]> {
    let size: usize = shape.iter().product();
    if size == 0 || images.is_empty() || !images.len().is_multiple_of(size) {
        return Err(Error::invalid(format!(
            "the sliced Wasserstein distance needs one whole image or more of {shape:?}, got {} bytes",
            images.len()
        )));
    }
    Ok(images)
}

/// Patches of all pictures at a scale.
struct Patches {
    height: usize,
    width: usize,
    channels: usize,
    /// Numbers in a patch, [rows, columns, channels].
    size: usize,
    /// [patches, size].
    values: Vec<f32>,
}

impl Patches {
    /// Those of the scale `level`, if pictures of this size have it. Patch p is of picture p modulo N, and lies at the same
    /// place whatever the pictures are.
    fn cut(images: &[u8], shape: [usize; 3], level: usize, options: SlicedOptions) -> Option<Patches> {
        let n = images.len() / shape.iter().product::<usize>();
        let [height, width] = size_of_level([shape[0], shape[1]], level)?;
        let (rows, columns, channels) = (height.min(PATCH), width.min(PATCH), shape[2]);
        let size = rows * columns * channels;
        let mut stream = Stream::new(options.seed, "patches", level as u64);
        let corners: Vec<[usize; 2]> = (0..options.patches)
            .map(|_| [height - rows, width - columns].map(|most| stream.below(most as u32 + 1) as usize))
            .collect();
        let of_picture = |k: usize| {
            let plane = Plane::of_bytes(&images[k * shape.iter().product::<usize>()..], shape);
            let plane = laplacian(plane, level);
            let mut cut = Vec::with_capacity(options.patches.div_ceil(n) * size);
            for &[y, x] in corners.iter().skip(k).step_by(n) {
                for row in y..y + rows {
                    cut.extend_from_slice(
                        &plane.values[(row * width + x) * channels..][..columns * channels],
                    );
                }
            }
            cut
        };
        let values = (0..n.min(options.patches)).into_par_iter().flat_map_iter(of_picture).collect();
        Some(Patches { height, width, channels, size, values })
    }

    /// The mean and the standard deviation of each channel.
    fn moments(&self) -> (Vec<f64>, Vec<f64>) {
        let mut sums = vec![[0.0; 2]; self.channels];
        for pixel in self.values.chunks_exact(self.channels) {
            for (sum, &x) in sums.iter_mut().zip(pixel) {
                sum[0] += f64::from(x);
                sum[1] += f64::from(x) * f64::from(x);
            }
        }
        let count = (self.values.len() / self.channels) as f64;
        sums.iter()
            .map(|[sum, squares]| {
                let mean = sum / count;
                let deviation = (squares / count - mean * mean).max(0.0).sqrt();
                // A channel that never changes is compared as it is.
                (mean, if deviation > 1e-6 { deviation } else { 1.0 })
            })
            .unzip()
    }

    /// Directions [size, directions] of unit length, each divided by the deviations, and what the mean is projected to.
    fn directions(
        &self,
        level: usize,
        mean: &[f64],
        deviation: &[f64],
        options: SlicedOptions,
    ) -> (Vec<f32>, Vec<f32>) {
        let mut directions = vec![0.0f32; self.size * options.directions];
        let mut shift = vec![0.0f32; options.directions];
        let mut stream = Stream::new(options.seed, "directions", level as u64);
        for (d, shift) in shift.iter_mut().enumerate() {
            let drawn: Vec<f64> = (0..self.size).map(|_| stream.normal()).collect();
            let length = drawn.iter().map(|x| x * x).sum::<f64>().sqrt();
            let mut along = 0.0;
            for (k, x) in drawn.iter().enumerate() {
                let x = x / length / deviation[k % self.channels];
                directions[k * options.directions + d] = x as f32;
                along += x * mean[k % self.channels];
            }
            *shift = along as f32;
        }
        (directions, shift)
    }

    /// Projections [patches, directions].
    fn projected(&self, directions: &[f32], shift: &[f32]) -> Vec<f32> {
        let mut projected = vec![0.0f32; self.values.len() / self.size * shift.len()];
        projected.par_chunks_exact_mut(shift.len()).zip(self.values.par_chunks_exact(self.size)).for_each(
            |(to, patch)| {
                to.iter_mut().zip(shift).for_each(|(to, shift)| *to = -shift);
                for (x, row) in patch.iter().zip(directions.chunks_exact(shift.len())) {
                    to.iter_mut().zip(row).for_each(|(to, d)| *to += x * d);
                }
            },
        );
        projected
    }
}

/// Columns of [patches, directions] as rows [directions, patches] in ascending order.
fn sorted(projected: &[f32], directions: usize) -> Vec<f32> {
    let patches = projected.len() / directions;
    let mut rows = vec![0.0; projected.len()];
    rows.par_chunks_exact_mut(patches).enumerate().for_each(|(d, row)| {
        row.iter_mut().zip(projected[d..].iter().step_by(directions)).for_each(|(to, &from)| *to = from);
        row.sort_unstable_by(f32::total_cmp);
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [32, 32, 3];
    const FEW: SlicedOptions = SlicedOptions { patches: 4096, directions: 32, seed: 1 };

    /// Discs of two kinds in any colour on light ground.
    fn pictures(n: usize, seed: u64) -> Vec<u8> {
        let mut images = Vec::new();
        for k in 0..n {
            let mut stream = Stream::new(seed, "discs", k as u64);
            let radius = if k % 2 == 0 { stream.uniform(4.0, 6.0) } else { stream.uniform(9.0, 12.0) };
            let centre = [stream.uniform(13.0, 19.0), stream.uniform(13.0, 19.0)];
            let colour = [0; 3].map(|_: u8| stream.uniform(20.0, 200.0) as u8);
            for y in 0..SHAPE[0] {
                for x in 0..SHAPE[1] {
                    let inside = (y as f64 - centre[0]).hypot(x as f64 - centre[1]) < radius;
                    images.extend(if inside { colour } else { [230, 235, 240] });
                }
            }
        }
        images
    }

    fn mean(distances: &[ScaleDistance]) -> f64 {
        distances.iter().map(|scale| scale.distance).sum::<f64>() / distances.len() as f64
    }

    #[test]
    fn the_same_pictures_have_no_distance_and_others_of_their_kind_little() {
        let real = pictures(300, 1);
        let statistics = SlicedWasserstein::of(&real, SHAPE, FEW).unwrap();
        let same = statistics.distances(&real).unwrap();
        assert_eq!(
            same.iter().map(|scale| (scale.height, scale.width)).collect::<Vec<_>>(),
            [(32, 32), (16, 16)]
        );
        assert_eq!(mean(&same), 0.0);
        let others = mean(&statistics.distances(&pictures(300, 2)).unwrap());
        assert!(others > 0.0 && others < 0.06, "{others}");
    }

    #[test]
    fn a_shift_of_all_numbers_is_the_distance() {
        // One channel, one direction: sorting and normalising leave the shift itself, seen along the direction.
        let flat = |level: u8| vec![level; 2 * 8 * 8];
        let mut real = flat(100);
        real[64..].fill(120);
        let options = SlicedOptions { patches: 2, directions: 1, seed: 3 };
        let statistics = SlicedWasserstein::of(&real, [8, 8, 1], options).unwrap();
        let mut moved = flat(110);
        moved[64..].fill(130);
        let [scale] = statistics.distances(&moved).unwrap()[..] else { panic!("8 x 8 has one scale") };
        // In deviations of the real pictures (10 levels) times the sum of the direction's numbers.
        let sum: f64 = statistics.scales[0].directions.iter().map(|d| f64::from(*d)).sum();
        let deviation = 10.0 / 127.5;
        assert!((scale.distance - (sum * 10.0 / 127.5).abs()).abs() < 1e-5, "{scale:?} {sum}");
        assert!((sum * deviation).abs() < 7.1, "a direction has unit length: {sum}");
    }

    #[test]
    fn corruptions_are_farther_the_stronger_they_are() {
        let real = pictures(300, 1);
        let statistics = SlicedWasserstein::of(&real, SHAPE, FEW).unwrap();
        let others = pictures(300, 2);
        let floor = mean(&statistics.distances(&others).unwrap());
        let noisy = |levels: f64| -> Vec<u8> {
            let mut stream = Stream::new(9, "noise", 0);
            others
                .iter()
                .map(|&x| (f64::from(x) + levels * stream.normal()).clamp(0.0, 255.0) as u8)
                .collect()
        };
        let blurred = |times: usize| -> Vec<u8> {
            let mut images = others.clone();
            for _ in 0..times {
                let from = images.clone();
                for (k, to) in images.iter_mut().enumerate() {
                    let x = k / 3 % 32;
                    let near = |d: isize| f64::from(from[(k as isize + 3 * d) as usize]);
                    if (1..31).contains(&x) {
                        *to = (0.25 * near(-1) + 0.5 * near(0) + 0.25 * near(1)).round() as u8;
                    }
                }
            }
            images
        };
        let size = SHAPE.iter().product::<usize>();
        let repeated: Vec<u8> = others[..size].repeat(300);
        let one_kind: Vec<u8> = others.chunks_exact(2 * size).flat_map(|two| &two[..size]).copied().collect();
        let of = |images: &[u8]| mean(&statistics.distances(images).unwrap());
        let rising = [floor, of(&noisy(4.0)), of(&noisy(12.0)), of(&noisy(36.0))];
        assert!(rising.is_sorted() && rising[3] > 4.0 * floor, "noise: {rising:?}");
        let rising = [floor, of(&blurred(1)), of(&blurred(4)), of(&blurred(16))];
        assert!(rising.is_sorted() && rising[3] > 2.0 * floor, "blur: {rising:?}");
        let rising = [floor, of(&one_kind), of(&repeated)];
        assert!(rising.is_sorted() && rising[1] > 2.0 * floor, "missing: {rising:?}");
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let (real, others) = (pictures(40, 1), pictures(50, 2));
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| SlicedWasserstein::of(&real, SHAPE, FEW).unwrap().distances(&others).unwrap())
        };
        assert_eq!(of(1), of(3));
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let message = |images: &[u8], options| {
            SlicedWasserstein::of(images, [4, 4, 1], options).unwrap_err().to_string()
        };
        assert!(message(&[0; 15], FEW).contains("[4, 4, 1], got 15 bytes"));
        assert!(message(&[], FEW).contains("got 0 bytes"));
        assert!(message(&[0; 16], SlicedOptions { directions: 0, ..FEW }).contains("1 direction"));
        // Smaller than a patch, and without any contrast: still a number.
        let flat = SlicedWasserstein::of(&[7; 32], [4, 4, 1], FEW).unwrap();
        assert_eq!(mean(&flat.distances(&[7; 16]).unwrap()), 0.0);
        assert!(mean(&flat.distances(&[9; 16]).unwrap()) > 0.0);
    }
}
