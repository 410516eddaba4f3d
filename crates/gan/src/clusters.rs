//! Clusters of a data set: groups of similar images that a GAN is told beside the class, or in its place.
//!
//! A class-conditional GAN learns faster than one without classes, for each of its tasks is smaller. The same holds
//! within a class, and where there are no classes at all: similar images can be grouped, and the group given in the
//! place of a label (Sage et al. 2018, *Logo Synthesis and Manipulation with Clustered Generative Adversarial Networks*;
//! Liu et al. 2020, *Diverse Image Generation via Self-Conditioned GANs*). Groups of equal size are drawn equally often,
//! so nothing has to be remembered of them.

use crate::error::{Error, Result};
use crate::random::Stream;

/// The most clusters of a class.
pub const MAX_CLUSTERS: usize = 256;

/// The longest side of an image as it is compared: larger ones are averaged over blocks.
const SIDE: usize = 16;
/// How many images a direction is found from.
const SUBSET: usize = 1000;
/// Power iterations for the first direction, and then rounds of balanced 2-means along it.
const ROUNDS: [usize; 2] = [8, 4];

/// Cuts images [N, height, width, channels] of bytes into `clusters` clusters of equal size within each class, and returns
/// for each image `class * clusters + cluster` `[N]`: the label that a model with
/// [`clusters`](crate::GanConfig::clusters) is trained with. `labels` are the classes of the images `[N]` and their number; without them all images are of one.
///
/// A set is cut in two where the images lie along one direction, and each half again. The direction starts as the
/// principal one, of the greatest variance, and becomes the one between the means of the two halves. All is
/// deterministic. Errors when counts do not fit.
pub fn partition(
    images: &[u8],
    [height, width, channels]: [usize; 3],
    labels: Option<(&[u32], usize)>,
    clusters: usize,
) -> Result<Vec<u32>> {
    let size = height * width * channels;
    if size == 0 || !images.len().is_multiple_of(size) || !(1..=MAX_CLUSTERS).contains(&clusters) {
        return Err(Error::invalid(format!(
            "expected images of {size} bytes and 1 to {MAX_CLUSTERS} clusters, got {} bytes and {clusters} clusters",
            images.len()
        )));
    }
    let n = images.len() / size;
    let (labels, classes) = labels.unwrap_or((&[], 1));
    if (classes > 1 && labels.len() != n) || labels.iter().any(|label| *label as usize >= classes) {
        return Err(Error::invalid(format!(
            "expected {n} labels below {classes}, one for each image, got {}",
            labels.len()
        )));
    }
    let features = Features::new(images, [height, width, channels]);
    let mut result = vec![0; n];
    for class in 0..classes {
        let of_class = |i: &usize| labels.get(*i).is_none_or(|label| *label as usize == class);
        let mut indices: Vec<usize> = (0..n).filter(of_class).collect();
        features.split(&mut indices, clusters, (class * clusters) as u32, &mut result);
    }
    Ok(result)
}

/// Images as they are compared: [N, dim].
struct Features {
    dim: usize,
    values: Vec<f32>,
}

impl Features {
    fn new(images: &[u8], [height, width, channels]: [usize; 3]) -> Features {
        let block = height.max(width).div_ceil(SIDE).min(height).min(width);
        let (rows, columns) = (height / block, width / block);
        let dim = rows * columns * channels;
        let scale = 1.0 / (127.5 * (block * block) as f32);
        let mut values = vec![0.0; images.len() / (height * width * channels) * dim];
        for (image, feature) in
            images.chunks_exact(height * width * channels).zip(values.chunks_exact_mut(dim))
        {
            for (y, row) in image.chunks_exact(width * channels).enumerate().take(rows * block) {
                for (x, pixel) in row.chunks_exact(channels).enumerate().take(columns * block) {
                    let at = (y / block * columns + x / block) * channels;
                    for (sum, value) in feature[at..].iter_mut().zip(pixel) {
                        *sum += f32::from(*value) * scale;
                    }
                }
            }
        }
        Features { dim, values }
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..][..self.dim]
    }

    /// Writes the numbers from `first` on into `result` for the images `indices`, cut into `clusters` clusters.
    fn split(&self, indices: &mut [usize], clusters: usize, first: u32, result: &mut [u32]) {
        if clusters == 1 || indices.is_empty() {
            indices.iter().for_each(|i| result[*i] = first);
            return;
        }
        let left = clusters / 2;
        let share = |n: usize| n * left / clusters;
        let stride = indices.len().div_ceil(SUBSET);
        let subset: Vec<usize> = indices.iter().copied().step_by(stride).collect();
        let direction = self.direction(&subset, share(subset.len()));
        self.sort(indices, &direction);
        let (a, b) = indices.split_at_mut(share(indices.len()));
        self.split(a, left, first, result);
        self.split(b, clusters - left, first + left as u32, result);
    }

    /// Sorts images by where they lie along a direction; equal ones by their number.
    fn sort(&self, indices: &mut [usize], direction: &[f32]) {
        let mut along: Vec<(f32, usize)> =
            indices.iter().map(|i| (dot(self.row(*i), direction), *i)).collect();
        along.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        indices.iter_mut().zip(along).for_each(|(index, (_, i))| *index = i);
    }

    /// The direction along which the images `subset` are cut behind the first `cut`.
    fn direction(&self, subset: &[usize], cut: usize) -> Vec<f32> {
        let mean = self.mean(subset);
        let centred: Vec<Vec<f32>> =
            subset.iter().map(|i| self.row(*i).iter().zip(&mean).map(|(x, m)| x - m).collect()).collect();
        // The variances themselves are a fair start for the power iteration.
        let mut direction = vec![0.0; self.dim];
        for row in &centred {
            direction.iter_mut().zip(row).for_each(|(d, x)| *d += x * x);
        }
        for _ in 0..ROUNDS[0] {
            normalise(&mut direction);
            let mut next = vec![0.0; self.dim];
            for row in &centred {
                let along = dot(row, &direction);
                next.iter_mut().zip(row).for_each(|(d, x)| *d += along * x);
            }
            direction = next;
        }
        let mut order = subset.to_vec();
        for _ in 0..ROUNDS[1] {
            normalise(&mut direction);
            self.sort(&mut order, &direction);
            let (a, b) = (self.mean(&order[..cut]), self.mean(&order[cut..]));
            direction.iter_mut().zip(b.iter().zip(&a)).for_each(|(d, (b, a))| *d = b - a);
        }
        direction
    }

    fn mean(&self, indices: &[usize]) -> Vec<f32> {
        let mut mean = vec![0.0; self.dim];
        for i in indices {
            mean.iter_mut().zip(self.row(*i)).for_each(|(m, x)| *m += x);
        }
        mean.iter_mut().for_each(|m| *m /= indices.len().max(1) as f32);
        mean
    }
}

/// The inner product, in eight sums that the compiler keeps in one vector.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a1) = a.as_chunks::<8>();
    let (b8, b1) = b.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + a1.iter().zip(b1).map(|(a, b)| a * b).sum::<f32>()
}

fn normalise(x: &mut [f32]) {
    let norm = dot(x, x).sqrt();
    if norm > 0.0 {
        x.iter_mut().for_each(|x| *x /= norm);
    }
}

/// The bounds that cut the standard normal distribution into clusters of equal probability: a latent's last number says
/// which cluster is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Bounds(Vec<f64>);

impl Bounds {
    pub(crate) fn new(clusters: usize) -> Bounds {
        let quantile = |p: f64| {
            let (mut low, mut high) = (-6.0, 6.0);
            for _ in 0..60 {
                let middle = 0.5 * (low + high);
                if normal_cdf(middle) < p {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            0.5 * (low + high)
        };
        Bounds((1..clusters).map(|i| quantile(i as f64 / clusters as f64)).collect())
    }

    /// The bounds in single precision, in ascending order: a number of single precision lies at or above one of them
    /// where it lies at or above the bound itself.
    pub(crate) fn single(&self) -> Vec<f32> {
        let up = |bound: &f64| {
            let rounded = *bound as f32;
            if f64::from(rounded) < *bound { rounded.next_up() } else { rounded }
        };
        self.0.iter().map(up).collect()
    }

    /// The least and the largest number of single precision in a cluster; infinite at the ends.
    pub(crate) fn interval(&self, cluster: usize) -> [f32; 2] {
        let bounds = self.single();
        let low = cluster.checked_sub(1).map_or(f32::NEG_INFINITY, |below| bounds[below]);
        [low, bounds.get(cluster).map_or(f32::INFINITY, |bound| bound.next_down())]
    }

    /// The cluster that `x` lies in.
    pub(crate) fn cluster(&self, x: f64) -> usize {
        self.0.partition_point(|bound| *bound <= x)
    }

    /// A standard normal number from the given cluster, such that `rounded` leaves it there.
    pub(crate) fn draw(&self, cluster: usize, stream: &mut Stream, rounded: impl Fn(f64) -> f64) -> f64 {
        // One in as many numbers as there are clusters fits: cheap beside a training step.
        loop {
            let x = rounded(stream.normal());
            if self.cluster(x) == cluster {
                return x;
            }
        }
    }
}

/// The share of a standard normal distribution below x, |x| <= 6, by its Taylor series.
fn normal_cdf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_the_quantiles_of_the_normal_distribution() {
        // Abramowitz and Stegun, table 26.5.
        let bounds = Bounds::new(4);
        assert!((bounds.0[0] + 0.674_489_750_196).abs() < 1e-9 && bounds.0[1].abs() < 1e-9, "{bounds:?}");
        assert!((Bounds::new(40).0[38] - 1.959_963_984_540).abs() < 1e-9);
        assert!(Bounds::new(1).0.is_empty());
        let mut stream = Stream::new(1, "test", 0);
        for cluster in 0..4 {
            let x = bounds.draw(cluster, &mut stream, |x| f64::from(x as f32));
            assert_eq!(bounds.cluster(x), cluster);
        }
        assert_eq!([-9.0, -0.1, 0.1, 9.0].map(|x| bounds.cluster(x)), [0, 1, 2, 3]);
    }

    /// Two classes of two blots each: the clusters are the blots.
    #[test]
    fn clusters_are_of_equal_size_and_hold_similar_images() {
        let mut stream = Stream::new(5, "test", 0);
        let kinds: Vec<u8> = (0..400).map(|i| (i * 7 % 4) as u8).collect();
        let mut images = Vec::new();
        for kind in &kinds {
            for pixel in 0..36 {
                let bright = pixel / 9 == usize::from(*kind);
                images.push(stream.below(60) as u8 + if bright { 180 } else { 0 });
            }
        }
        let classes: Vec<u32> = kinds.iter().map(|&kind| u32::from(kind % 2)).collect();
        let labels = partition(&images, [6, 6, 1], Some((&classes, 2)), 2).unwrap();
        for (a, kind_a) in labels.iter().zip(&kinds) {
            assert_eq!(a / 2, u32::from(kind_a % 2), "a cluster belongs to one class");
            for (b, kind_b) in labels.iter().zip(&kinds) {
                assert_eq!(a == b, kind_a == kind_b);
            }
        }
        // Without classes: as many in each, for numbers that are no powers of two as well.
        for clusters in [1, 3, 4, 7] {
            let labels = partition(&images, [6, 6, 1], None, clusters).unwrap();
            for cluster in 0..clusters {
                let count = labels.iter().filter(|label| **label == cluster as u32).count();
                assert!(count.abs_diff(400 / clusters) <= 3, "{clusters}: {count}");
            }
        }
        assert!(partition(&images[1..], [6, 6, 1], None, 2).is_err());
        assert!(partition(&images, [6, 6, 1], Some((&classes, 1)), 2).is_err());
        assert!(partition(&images, [6, 6, 1], None, MAX_CLUSTERS + 1).is_err());
        assert!(partition(&[], [6, 6, 1], None, 2).unwrap().is_empty());
        // Fewer images than clusters, and images that are all the same.
        assert_eq!(partition(&[7; 72], [6, 6, 1], None, 3).unwrap().len(), 2);
    }
}
