//! Features for pictures that nobody has labelled: a classifier of tasks that the pictures themselves set.

use gannet_tensor::{Backend, Element};

use crate::clusters::partition;
use crate::error::{Error, Result};
use crate::metrics::classifier::endless_order;
use crate::metrics::{Classifier, ClassifierStep, dequantise};
use crate::random::Stream;

/// Groups of similar pictures that are told apart, at most, and the pictures that a group has at least.
const GROUPS: usize = 8;
const GROUP: usize = 16;

/// What may have been done to a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Nothing,
    Blur,
    Noise,
    /// A part of another picture lies in it.
    Patch,
    /// Its colours run: another tint in each corner.
    Tint,
    /// Its lines are bent.
    Bend,
}

const CHANGES: [Change; 6] =
    [Change::Nothing, Change::Blur, Change::Noise, Change::Patch, Change::Tint, Change::Bend];

/// A side of the coarse grid of random numbers that tints and bends follow.
const KNOTS: usize = 4;

/// How a classifier learns from pictures without labels.
///
/// It is shown each picture turned (Gidaris et al. 2018, "Unsupervised Representation Learning by Predicting Image
/// Rotations") and sometimes spoilt: blurred, noisy, with a part of another picture in it, with colours that run, or bent. It
/// has to say which group of similar pictures ([`partition`]) it is of, how it was turned, and how it was spoilt. So its
/// features tell what is on the pictures and whether it is well drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelfSupervision {
    /// Steps of the training.
    pub steps: u64,
    /// Pictures in a step.
    pub batch_size: usize,
    /// The learning rate at the start, from where it falls along half a cosine.
    pub learning_rate: f64,
    /// Fixes weights, batches and changes.
    pub seed: u64,
}

impl Default for SelfSupervision {
    /// 600 steps of 64.
    fn default() -> SelfSupervision {
        SelfSupervision { steps: 600, batch_size: 64, learning_rate: 2e-3, seed: 42 }
    }
}

impl SelfSupervision {
    /// Trains a classifier on pictures `images` [N, height, width, channels] of bytes; `progress` is told each step. Its
    /// classes are those of the task and mean nothing to others; what it is for are its features.
    ///
    /// Errors when a picture is not whole, when there are fewer than two, when an option is 0, or when the loss is no longer
    /// finite.
    pub fn train<B: Backend>(
        &self,
        backend: &B,
        images: &[u8],
        shape: [usize; 3],
        progress: impl FnMut(ClassifierStep),
    ) -> Result<Classifier<B>> {
        let size: usize = shape.iter().product();
        if size == 0 || !images.len().is_multiple_of(size) || images.len() < 2 * size {
            return Err(Error::invalid(format!(
                "learning from pictures needs two whole ones or more of {shape:?}, got {} bytes",
                images.len()
            )));
        }
        if self.steps == 0 || self.batch_size == 0 {
            return Err(Error::invalid(format!(
                "learning from pictures needs at least 1 step of 1 picture, got {} of {}",
                self.steps, self.batch_size
            )));
        }
        let task = Task::new(images, shape)?;
        let mut classifier = Classifier::new(backend, shape, task.classes(), self.seed)?;
        let mut order = endless_order(images.len() / size, self.seed);
        let mut picture = Vec::new();
        let fill = |step, batch: &mut [B::Element], labels: &mut [B::Element]| {
            let mut stream = Stream::new(self.seed, "tasks", step);
            for (to, label) in batch.chunks_exact_mut(size).zip(labels) {
                *label = B::Element::of(task.set(order(), &mut stream, &mut picture) as f64);
                to.iter_mut().zip(&picture).for_each(|(to, &x)| *to = B::Element::of(f64::from(x)));
            }
        };
        classifier.fit(self.batch_size, self.steps, self.learning_rate, fill, progress)?;
        Ok(classifier)
    }
}

/// The pictures and what is asked of them.
struct Task<'a> {
    images: &'a [u8],
    shape: [usize; 3],
    /// The group of each picture.
    groups: Vec<u32>,
    group_count: usize,
}

impl Task<'_> {
    fn new(images: &[u8], shape: [usize; 3]) -> Result<Task<'_>> {
        let count = images.len() / shape.iter().product::<usize>();
        let group_count = (count / GROUP).clamp(1, GROUPS);
        Ok(Task { images, shape, groups: partition(images, shape, None, group_count)?, group_count })
    }

    /// How many ways a picture is turned: by quarters where it is square, else by halves.
    fn turns(&self) -> usize {
        if self.shape[0] == self.shape[1] { 4 } else { 2 }
    }

    fn classes(&self) -> usize {
        self.group_count * self.turns() * CHANGES.len()
    }

    /// Makes a task of picture `index`: writes the picture [height, width, channels] in -1 to 1 and returns its class.
    fn set(&self, index: usize, stream: &mut Stream, picture: &mut Vec<f32>) -> usize {
        let turn = stream.below(self.turns() as u32) as usize;
        let change = stream.below(CHANGES.len() as u32) as usize;
        self.turned(index, turn, picture);
        match CHANGES[change] {
            Change::Nothing => {}
            Change::Blur => self.blur(1 + stream.below(3) as usize, picture),
            Change::Noise => {
                let strength = stream.uniform(0.05, 0.3);
                picture
                    .iter_mut()
                    .for_each(|x| *x = (*x + (strength * stream.normal()) as f32).clamp(-1.0, 1.0));
            }
            Change::Patch => self.patch(turn, stream, picture),
            Change::Tint => self.tint(stream, picture),
            Change::Bend => self.bend(stream, picture),
        }
        (self.groups[index] as usize * self.turns() + turn) * CHANGES.len() + change
    }

    /// The picture `index`, turned.
    fn turned(&self, index: usize, turn: usize, to: &mut Vec<f32>) {
        let [height, width, channels] = self.shape;
        let from = &self.images[index * height * width * channels..][..height * width * channels];
        to.clear();
        for y in 0..height {
            for x in 0..width {
                let (from_y, from_x) = match (turn, self.turns()) {
                    (0, _) => (y, x),
                    (1, 2) | (2, _) => (height - 1 - y, width - 1 - x),
                    (1, _) => (x, height - 1 - y),
                    _ => (width - 1 - x, y),
                };
                let pixel = &from[(from_y * width + from_x) * channels..][..channels];
                to.extend(pixel.iter().map(|&byte| dequantise(byte)));
            }
        }
    }

    /// Smooths both axes so many times.
    fn blur(&self, times: usize, picture: &mut [f32]) {
        let [height, width, channels] = self.shape;
        for _ in 0..times {
            for [lines, step, len, stride] in
                [[height, width * channels, width, channels], [width, channels, height, width * channels]]
            {
                for line in 0..lines {
                    for c in 0..channels {
                        let at = |k: usize| line * step + k * stride + c;
                        let mut before = picture[at(0)];
                        for k in 0..len {
                            let here = picture[at(k)];
                            let after = picture[at((k + 1).min(len - 1))];
                            picture[at(k)] = 0.25 * before + 0.5 * here + 0.25 * after;
                            before = here;
                        }
                    }
                }
            }
        }
    }

    /// Lays a part of another picture into it, turned as it is and where it was there.
    fn patch(&self, turn: usize, stream: &mut Stream, picture: &mut [f32]) {
        let [height, width, channels] = self.shape;
        let mut other = Vec::new();
        self.turned(stream.below(self.groups.len() as u32) as usize, turn, &mut other);
        let mut part = |side: usize| {
            let length = (side as f64 * stream.uniform(0.35, 0.65)).ceil() as usize;
            let from = stream.below((side - length) as u32 + 1) as usize;
            from..from + length
        };
        let (rows, columns) = (part(height), part(width));
        for y in rows {
            let run = (y * width + columns.start) * channels..(y * width + columns.end) * channels;
            picture[run.clone()].copy_from_slice(&other[run]);
        }
    }

    /// Adds a colour of its own to each corner of a coarse grid, and what lies between them in between.
    fn tint(&self, stream: &mut Stream, picture: &mut [f32]) {
        let channels = self.shape[2];
        let knots: Vec<f64> = (0..KNOTS * KNOTS * channels).map(|_| stream.uniform(-0.5, 0.5)).collect();
        self.each_pixel(|at, [y, x]| {
            for c in 0..channels {
                let value = &mut picture[at + c];
                *value = (*value + between(&knots, channels, c, y, x) as f32).clamp(-1.0, 1.0);
            }
        });
    }

    /// Moves pixels by up to a tenth of the sides, smoothly.
    fn bend(&self, stream: &mut Stream, picture: &mut Vec<f32>) {
        let [height, width, channels] = self.shape;
        let knots: Vec<f64> = (0..KNOTS * KNOTS * 2).map(|_| stream.uniform(-0.1, 0.1)).collect();
        let from = std::mem::take(picture);
        picture.resize(from.len(), 0.0);
        self.each_pixel(|at, [y, x]| {
            let moved = |side: usize, along: f64, axis| {
                let position = (along + between(&knots, 2, axis, y, x)) * (side - 1) as f64;
                position.round().clamp(0.0, (side - 1) as f64) as usize
            };
            let source = (moved(height, y, 0) * width + moved(width, x, 1)) * channels;
            picture[at..at + channels].copy_from_slice(&from[source..source + channels]);
        });
    }

    /// Visits all pixels: where they lie in the picture's numbers, and their place in 0 to 1 down and across.
    fn each_pixel(&self, mut visit: impl FnMut(usize, [f64; 2])) {
        let [height, width, channels] = self.shape;
        let share = |k: usize, side: usize| k as f64 / (side.max(2) - 1) as f64;
        for y in 0..height {
            for x in 0..width {
                visit((y * width + x) * channels, [share(y, height), share(x, width)]);
            }
        }
    }
}

/// What a grid of knots [KNOTS, KNOTS, channels] gives at a place in 0 to 1, linearly between the four around it.
fn between(knots: &[f64], channels: usize, channel: usize, y: f64, x: f64) -> f64 {
    let place = |along: f64| {
        let along = along * (KNOTS - 1) as f64;
        let cell = (along as usize).min(KNOTS - 2);
        (cell, along - cell as f64)
    };
    let ((y, dy), (x, dx)) = (place(y), place(x));
    let at = |y: usize, x: usize| knots[(y * KNOTS + x) * channels + channel];
    let row = |y: usize| at(y, x) * (1.0 - dx) + at(y, x + 1) * dx;
    row(y) * (1.0 - dy) + row(y + 1) * dy
}

#[cfg(test)]
mod tests {
    use gannet_tensor::Reference;

    use super::*;
    use crate::Cpu;
    use crate::metrics::FrechetStatistics;

    const SHAPE: [usize; 3] = [12, 12, 3];

    /// A bright bar on dark ground, upright, in one of three colours.
    fn pictures(n: usize, seed: u64) -> Vec<u8> {
        let mut images = Vec::new();
        for k in 0..n {
            let mut stream = Stream::new(seed, "bars", k as u64);
            let (left, top) = (stream.below(6) as usize + 1, stream.below(3) as usize);
            let bright = stream.below(3) as usize;
            for (y, x) in (0..12).flat_map(|y| (0..12).map(move |x| (y, x))) {
                let inside = (left..left + 4).contains(&x) && (top..top + 5).contains(&y);
                images.extend((0..3).map(|c| if inside && c == bright { 240 } else { 20 }));
            }
        }
        images
    }

    #[test]
    fn a_turned_picture_is_the_same_after_four_quarters() {
        let images: Vec<u8> = (0..48).collect();
        let task = Task { images: &images, shape: [4, 4, 3], groups: vec![0], group_count: 1 };
        let mut picture = Vec::new();
        let mut turned = |turn| {
            task.turned(0, turn, &mut picture);
            picture.iter().map(|&x| crate::metrics::quantise(x)).collect::<Vec<u8>>()
        };
        assert_eq!(turned(0), images);
        let quarter = turned(1);
        let again = Task { images: &quarter, shape: [4, 4, 3], groups: vec![0], group_count: 1 };
        let mut half = Vec::new();
        again.turned(0, 1, &mut half);
        assert_eq!(half.iter().map(|&x| crate::metrics::quantise(x)).collect::<Vec<u8>>(), turned(2));
        assert_ne!(turned(1), turned(3));
    }

    #[test]
    fn every_task_is_set_and_changes_what_it_says() {
        let images = pictures(40, 1);
        let task = Task::new(&images, SHAPE).unwrap();
        assert_eq!((task.group_count, task.classes()), (2, 2 * 4 * 6));
        let mut stream = Stream::new(1, "t", 0);
        let mut seen = vec![0; task.classes()];
        let (mut picture, mut plain) = (Vec::new(), Vec::new());
        for k in 0..2000 {
            let class = task.set(k % 40, &mut stream, &mut picture);
            seen[class] += 1;
            task.turned(k % 40, class / CHANGES.len() % 4, &mut plain);
            assert_eq!(picture.len(), plain.len());
            assert!(picture.iter().all(|x| (-1.0..=1.0).contains(x)));
            let changed = picture.iter().zip(&plain).filter(|(a, b)| a != b).count();
            match CHANGES[class % CHANGES.len()] {
                Change::Nothing => assert_eq!(changed, 0),
                // The part of another picture may look alike.
                Change::Patch | Change::Bend => {}
                change => assert!(changed > 20, "{change:?}: {changed}"),
            }
        }
        assert!(seen.iter().all(|&n| n > 10), "{seen:?}");
        // Sides that differ are turned upside down alone.
        let task = Task::new(&images[..36 * 20], [6, 2, 3]).unwrap();
        assert_eq!(task.turns(), 2);
    }

    #[test]
    fn its_features_see_what_is_wrong() {
        let real = pictures(200, 1);
        let options = SelfSupervision { steps: 400, batch_size: 32, ..SelfSupervision::default() };
        let mut losses = Vec::new();
        let mut classifier =
            options.train(&Cpu::with_threads(1).unwrap(), &real, SHAPE, |at| losses.push(at.loss)).unwrap();
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        assert!(mean(&losses[350..]) < 0.7 * mean(&losses[..20]), "{losses:?}");
        let mut of =
            |images: &[u8]| FrechetStatistics::of(&classifier.classify(images).unwrap().features).unwrap();
        let statistics = of(&real);
        let others = pictures(200, 2);
        let mut distance = |images: &[u8]| of(images).distance(&statistics).unwrap();
        let floor = distance(&others);
        let size: usize = SHAPE.iter().product();
        let upside_down: Vec<u8> =
            others.chunks_exact(size).flat_map(|p| p.chunks_exact(3).rev().flatten()).copied().collect();
        let noise = |levels: u32| -> Vec<u8> {
            let mut stream = Stream::new(3, "n", 0);
            others.iter().map(|&x| x.saturating_add(stream.below(levels) as u8)).collect()
        };
        let (turned, weak, strong) = (distance(&upside_down), distance(&noise(20)), distance(&noise(100)));
        let repeated = distance(&others[..size].repeat(200));
        assert!(3.0 * floor < turned && 3.0 * floor < repeated, "{floor} {turned} {repeated}");
        assert!(floor < weak && weak < strong, "{floor} {weak} {strong}");
    }

    #[test]
    fn what_cannot_be_learnt_from_is_said() {
        let reference = Reference::<f32>::new();
        let message = |options: SelfSupervision, images: &[u8]| {
            options.train(&reference, images, [4, 4, 1], |_| ()).unwrap_err().to_string()
        };
        assert!(
            message(SelfSupervision::default(), &[0; 16]).contains("two whole ones or more of [4, 4, 1]")
        );
        let none = SelfSupervision { steps: 0, ..SelfSupervision::default() };
        assert!(message(none, &[0; 64]).contains("at least 1 step"));
    }
}
