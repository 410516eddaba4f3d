//! Laplacian pyramids (Burt and Adelson 1983): what each scale of a picture adds to the coarser ones.

use crate::metrics::dequantise;

/// The shortest side at which a pyramid ends.
const SHORTEST: usize = 16;

/// Binomial weights; neighbours two pixels away come in.
const KERNEL: [f32; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// Numbers [height, width, channels].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plane {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) values: Vec<f32>,
}

/// The size [height, width] of level `level`, if a pyramid of pictures of this size has it: each is half as large, and the
/// last has a side of less than twice [`SHORTEST`] or is the picture itself.
pub(crate) fn size_of_level(mut size: [usize; 2], level: usize) -> Option<[usize; 2]> {
    for _ in 0..level {
        size = halved(size)?;
    }
    Some(size)
}

fn halved(size: [usize; 2]) -> Option<[usize; 2]> {
    let half = size.map(|side| side.div_ceil(2));
    (half[0].min(half[1]) >= SHORTEST).then_some(half)
}

/// The level `level` of the pyramid of a picture: it less what the next level holds of it; the last as it is.
pub(crate) fn laplacian(mut plane: Plane, level: usize) -> Plane {
    for _ in 0..level {
        plane = plane.half();
    }
    if halved([plane.height, plane.width]).is_some() {
        let coarser = plane.half().twice(plane.height, plane.width);
        plane.values.iter_mut().zip(coarser.values).for_each(|(x, coarse)| *x -= coarse);
    }
    plane
}

/// The index that stands for `index` outside of `0..len`: mirrored at the first and the last, which are not repeated.
fn mirrored(index: isize, len: usize) -> usize {
    let last = len as isize - 1;
    if last == 0 {
        return 0;
    }
    let period = 2 * last;
    let index = index.rem_euclid(period);
    index.min(period - index) as usize
}

impl Plane {
    /// The first picture of `bytes`, in -1 to 1.
    pub(crate) fn of_bytes(bytes: &[u8], [height, width, channels]: [usize; 3]) -> Plane {
        let values = bytes[..height * width * channels].iter().map(|&byte| dequantise(byte)).collect();
        Plane { height, width, channels, values }
    }

    /// Smoothed and every other pixel of it.
    fn half(&self) -> Plane {
        let taps = |to: usize, len: usize| {
            let from = move |k: usize| mirrored(2 * to as isize + k as isize - 2, len);
            KERNEL.iter().enumerate().map(move |(k, weight)| (from(k), *weight))
        };
        self.along_height(self.height.div_ceil(2), taps).along_width(self.width.div_ceil(2), taps)
    }

    /// As large as before [`half`](Plane::half): zeros between the pixels, smoothed, with twice the weights along each axis.
    fn twice(&self, height: usize, width: usize) -> Plane {
        let taps = move |large: usize| {
            move |to: usize, len: usize| {
                KERNEL.iter().enumerate().filter_map(move |(k, weight)| {
                    let from = mirrored(to as isize + k as isize - 2, large);
                    from.is_multiple_of(2).then(|| ((from / 2).min(len - 1), 2.0 * weight))
                })
            }
        };
        self.along_height(height, taps(height)).along_width(width, taps(width))
    }

    /// Rows made of rows: `taps` gives for a row the ones that it is made of, and their weights.
    fn along_height<T: Iterator<Item = (usize, f32)>>(
        &self,
        height: usize,
        taps: impl Fn(usize, usize) -> T,
    ) -> Plane {
        let row = self.width * self.channels;
        let mut values = vec![0.0; height * row];
        for (y, to) in values.chunks_exact_mut(row).enumerate() {
            for (from, weight) in taps(y, self.height) {
                to.iter_mut().zip(&self.values[from * row..]).for_each(|(to, x)| *to += weight * x);
            }
        }
        Plane { height, width: self.width, channels: self.channels, values }
    }

    /// The same with columns.
    fn along_width<T: Iterator<Item = (usize, f32)>>(
        &self,
        width: usize,
        taps: impl Fn(usize, usize) -> T,
    ) -> Plane {
        let c = self.channels;
        let mut values = vec![0.0; self.height * width * c];
        for x in 0..width {
            for (from, weight) in taps(x, self.width) {
                for y in 0..self.height {
                    let to = &mut values[(y * width + x) * c..][..c];
                    let from = &self.values[(y * self.width + from) * c..][..c];
                    to.iter_mut().zip(from).for_each(|(to, x)| *to += weight * x);
                }
            }
        }
        Plane { height: self.height, width, channels: c, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(height: usize, width: usize, of: impl Fn(usize, usize) -> f32) -> Plane {
        let values = (0..height * width).map(|k| of(k / width, k % width)).collect();
        Plane { height, width, channels: 1, values }
    }

    #[test]
    fn levels_halve_down_to_sixteen_pixels() {
        let sizes = |size| (0..).map_while(|level| size_of_level(size, level)).collect::<Vec<_>>();
        assert_eq!(sizes([64, 64]), [[64, 64], [32, 32], [16, 16]]);
        assert_eq!(sizes([96, 48]), [[96, 48], [48, 24]]);
        assert_eq!(sizes([33, 65]), [[33, 65], [17, 33]]);
        assert_eq!(sizes([8, 100]), [[8, 100]]);
    }

    #[test]
    fn a_level_is_what_the_coarser_one_lacks() {
        // What is even everywhere has no detail; the last level is the smoothed picture itself.
        let flat = plane(33, 40, |_, _| 0.5);
        assert!(laplacian(flat.clone(), 0).values.iter().all(|x| x.abs() < 1e-6));
        assert!(laplacian(flat, 1).values.iter().all(|x| (x - 0.5).abs() < 1e-6));
        // Stripes of one pixel are detail alone.
        let stripes = plane(32, 32, |_, x| if x % 2 == 0 { 1.0 } else { -1.0 });
        let detail = laplacian(stripes.clone(), 0);
        assert!(detail.values.iter().zip(&stripes.values).all(|(a, b)| (a - b).abs() < 1e-5));
        assert!(laplacian(stripes, 1).values.iter().all(|x| x.abs() < 1e-5));
        // A ramp is kept by both filters, away from the edges.
        let ramp = plane(64, 64, |y, x| (y + 2 * x) as f32);
        let half = ramp.half();
        assert!((half.values[10 * 32 + 7] - (20.0 + 28.0)).abs() < 1e-4);
        let again = half.twice(64, 64);
        assert!((again.values[21 * 64 + 30] - ramp.values[21 * 64 + 30]).abs() < 1e-4);
    }
}
