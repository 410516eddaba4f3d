//! Precision, recall, density and coverage.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::metrics::Features;
use crate::metrics::distance::for_each_distance;

/// Rows that one task handles.
const BLOCK: usize = 64;

/// A set of features with a ball around each, that reaches to its k-th nearest neighbour in the set: an estimate of
/// where such images lie (Kynkäänniemi et al. 2019).
#[derive(Clone, Debug)]
pub struct Manifold {
    features: Features,
    /// Squared radii [N].
    radii: Vec<f32>,
    neighbours: usize,
}

impl Manifold {
    /// The balls of `features` with `neighbours` neighbours each (5 is usual). Errors when `neighbours` is 0 or there
    /// are not more images than that.
    pub fn new(features: Features, neighbours: usize) -> Result<Manifold> {
        if neighbours == 0 {
            return Err(Error::invalid(
                "a ball must reach to a neighbour: their number must be at least 1, got 0",
            ));
        }
        features.check_len(neighbours + 1, &format!("a neighbourhood of {neighbours} images"))?;
        let n = features.len();
        let radii = blocks(n)
            .flat_map_iter(|rows| {
                let mut nearest = vec![Smallest::new(neighbours); rows.len()];
                for_each_distance(&features, rows.clone(), &features, |i, j, distance| {
                    if i != j {
                        nearest[i - rows.start].insert(distance);
                    }
                });
                nearest.into_iter().map(|smallest| smallest.largest())
            })
            .collect();
        Ok(Manifold { features, radii, neighbours })
    }

    /// The features.
    pub fn features(&self) -> &Features {
        &self.features
    }
}

/// How a generated set lies among real images and the other way round.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prdc {
    /// The share of generated images that lie in a ball of a real one (Kynkäänniemi et al. 2019).
    pub precision: f64,
    /// The share of real images that lie in a ball of a generated one (the same paper).
    pub recall: f64,
    /// The mean number of balls of real images that a generated one lies in, divided by k; near 1 for real images,
    /// and above 1 for images in the dense parts only (Naeem et al. 2020).
    pub density: f64,
    /// The share of real images with a generated one in their ball (the same paper).
    pub coverage: f64,
}

impl Prdc {
    /// Compares a generated set with a real one. Errors when the numbers of features or of neighbours differ.
    pub fn between(real: &Manifold, generated: &Manifold) -> Result<Prdc> {
        real.features.check_pair(&generated.features, 1, "precision and recall")?;
        if real.neighbours != generated.neighbours {
            return Err(Error::invalid(format!(
                "both sets must have balls of the same number of neighbours, got {} and {}",
                real.neighbours, generated.neighbours
            )));
        }
        let tally = blocks(real.features.len())
            .map(|rows| {
                let mut covered = vec![false; rows.len()];
                let mut recalled = vec![false; rows.len()];
                let mut balls = vec![0u32; generated.features.len()];
                for_each_distance(&real.features, rows.clone(), &generated.features, |i, j, distance| {
                    if distance < real.radii[i] {
                        covered[i - rows.start] = true;
                        balls[j] += 1;
                    }
                    recalled[i - rows.start] |= distance < generated.radii[j];
                });
                let count = |flags: Vec<bool>| flags.into_iter().filter(|&flag| flag).count();
                Tally { covered: count(covered), recalled: count(recalled), balls }
            })
            .reduce(
                || Tally { covered: 0, recalled: 0, balls: vec![0; generated.features.len()] },
                Tally::add,
            );
        let (n, m) = (real.features.len() as f64, generated.features.len() as f64);
        let in_some_ball = tally.balls.iter().filter(|&&count| count > 0).count();
        let in_balls: u64 = tally.balls.iter().map(|&count| u64::from(count)).sum();
        Ok(Prdc {
            precision: in_some_ball as f64 / m,
            recall: tally.recalled as f64 / n,
            density: in_balls as f64 / m / real.neighbours as f64,
            coverage: tally.covered as f64 / n,
        })
    }
}

/// Counts over some of the real images. They are whole numbers, so the order of additions does not matter.
struct Tally {
    /// Real images with a generated one in their ball.
    covered: usize,
    /// Real images in the ball of a generated one.
    recalled: usize,
    /// For each generated image, the balls of real ones that it lies in.
    balls: Vec<u32>,
}

impl Tally {
    fn add(mut self, other: Tally) -> Tally {
        self.covered += other.covered;
        self.recalled += other.recalled;
        self.balls.iter_mut().zip(other.balls).for_each(|(a, b)| *a += b);
        self
    }
}

fn blocks(n: usize) -> impl IndexedParallelIterator<Item = std::ops::Range<usize>> {
    (0..n.div_ceil(BLOCK)).into_par_iter().map(move |block| block * BLOCK..((block + 1) * BLOCK).min(n))
}

/// The k smallest numbers seen, in order.
#[derive(Clone)]
struct Smallest(Vec<f32>);

impl Smallest {
    fn new(k: usize) -> Smallest {
        Smallest(vec![f32::INFINITY; k])
    }

    fn insert(&mut self, x: f32) {
        if x < self.largest() {
            let at = self.0.partition_point(|&other| other <= x);
            self.0.pop();
            self.0.insert(at, x);
        }
    }

    fn largest(&self) -> f32 {
        self.0[self.0.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture;
    use crate::random::Stream;

    fn prdc(real: &Features, generated: &Features, k: usize) -> Prdc {
        let manifold = |features: &Features| Manifold::new(features.clone(), k).unwrap();
        Prdc::between(&manifold(real), &manifold(generated)).unwrap()
    }

    fn normal(name: &str, n: usize, dim: usize) -> Vec<f32> {
        let mut stream = Stream::new(2, name, 0);
        (0..n * dim).map(|_| stream.normal() as f32).collect()
    }

    #[test]
    fn agrees_with_numpy() {
        let fixture = fixture::load();
        let found = prdc(&fixture.x, &fixture.y, 5);
        let found = [found.precision, found.recall, found.density, found.coverage];
        for (ours, numpy) in found.into_iter().zip(fixture.prdc) {
            assert!((ours - numpy).abs() < 1e-12, "{found:?} {:?}", fixture.prdc);
        }
    }

    #[test]
    fn a_set_against_itself_is_perfect() {
        let x = Features::new(normal("x", 300, 8), 8).unwrap();
        let found = prdc(&x, &x, 5);
        assert_eq!((found.precision, found.recall, found.coverage), (1.0, 1.0, 1.0));
        // Each image lies in its own ball and those of the images that have it among their k - 1 nearest.
        assert_eq!(found.density, 1.0);
    }

    #[test]
    fn sets_far_apart_share_nothing() {
        let x = normal("x", 200, 4);
        let y = x.iter().map(|x| x + 100.0).collect();
        let found = prdc(&Features::new(x, 4).unwrap(), &Features::new(y, 4).unwrap(), 3);
        assert_eq!(found, Prdc { precision: 0.0, recall: 0.0, density: 0.0, coverage: 0.0 });
    }

    #[test]
    fn a_dropped_class_lowers_recall_and_coverage_but_not_precision() {
        // Two classes, well apart; the generated set has only one of them.
        let classes = |name: &str, keep: fn(usize) -> bool| {
            let rows = normal(name, 1000, 6);
            let rows = rows.chunks_exact(6).enumerate().filter(|(i, _)| keep(*i)).flat_map(|(i, row)| {
                let centre = if i % 2 == 0 { -8.0 } else { 8.0 };
                row.iter().map(move |x| x + centre)
            });
            Features::new(rows.collect(), 6).unwrap()
        };
        let real = classes("real", |_| true);
        let (whole, half) = (classes("generated", |_| true), classes("generated", |i| i % 2 == 0));
        let (whole, half) = (prdc(&real, &whole, 5), prdc(&real, &half, 5));
        assert!(whole.coverage > 0.9 && half.coverage < 0.52 && half.coverage > 0.4, "{whole:?} {half:?}");
        assert!(half.recall < 0.52 && (half.precision - whole.precision).abs() < 0.05, "{whole:?} {half:?}");
    }

    #[test]
    fn impossible_neighbourhoods_are_refused() {
        let x = Features::new(vec![0.0; 10], 2).unwrap();
        let manifold = |k| Manifold::new(x.clone(), k);
        assert!(manifold(0).unwrap_err().to_string().contains("at least 1, got 0"));
        assert!(manifold(5).unwrap_err().to_string().contains("at least 6 images"));
        let (a, b) = (manifold(2).unwrap(), manifold(3).unwrap());
        assert!(Prdc::between(&a, &b).unwrap_err().to_string().contains("got 2 and 3"));
    }

    #[test]
    fn the_smallest_are_kept() {
        let mut smallest = Smallest::new(3);
        for x in [5.0, 1.0, 4.0, 1.0, 9.0, 2.0] {
            smallest.insert(x);
        }
        assert_eq!(smallest.0, [1.0, 1.0, 2.0]);
    }
}
