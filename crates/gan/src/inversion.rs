//! The latent of an image: what a generator would have to be given to draw it.

use gannet_tensor::{Backend, Element, Graph, Plan, Program, Shape, Var, Variables, grad};

use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::layer::{Inputs, Pass};
use crate::optimisers::Optimiser;
use crate::samples::samples;
use crate::schedule::Schedule;
use crate::{Adam, Padding, names, step};

/// How the latent of an image is looked for.
///
/// Latents are drawn, the nearest few are taken, and each moves down the gradient of the distance to the image through the
/// generator (Zhu et al. 2016, "Generative Visual Manipulation on the Natural Image Manifold"). The distance is that of the
/// pixels, of their means over 2 x 2, and so on up to a quarter of the shorter side, so that what is in the wrong place is drawn
/// to the right one from afar.
///
/// The class of each image, and the cluster of a model with clusters, are those of the latents that were drawn, and stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inversion {
    /// Latents that are drawn to begin with, for all images together.
    pub candidates: usize,
    /// How many of them each image begins from. The best at the end counts.
    pub starts: usize,
    /// Steps of Adam from each.
    pub steps: u64,
    /// Adam's learning rate at the start, from where it falls along half a cosine.
    pub learning_rate: f64,
    /// Fixes the latents that are drawn.
    pub seed: u64,
}

impl Default for Inversion {
    /// 1,024 candidates, four starts, 300 steps.
    fn default() -> Inversion {
        Inversion { candidates: 1024, starts: 4, steps: 300, learning_rate: 0.1, seed: 42 }
    }
}

/// What was found for each image.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Inverted<E> {
    /// [n, z].
    pub latents: Vec<E>,
    /// The class of each, for a model with classes.
    pub labels: Option<Vec<u32>>,
    /// What the generator draws from them: [n, height, width, channels].
    pub images: Vec<E>,
    /// How far each is from what was asked for: the root of the mean squared difference, where pixels lie in -1 to 1.
    pub errors: Vec<f64>,
}

const LATENTS: &str = "inversion";
const TARGETS: &str = "targets";
const SCALARS: &str = "scalars";
/// The ends of the interval that the last number of a latent stays in, where that says which cluster an image is of.
const LOW: &str = "low";
const HIGH: &str = "high";

/// No latent that is drawn is so far out.
const FARTHEST: f32 = 100.0;

impl<B: Backend> Gan<B> {
    /// The latents whose images come nearest to `targets` [n, height, width, channels] in the generator's range. `labels` are
    /// the classes that they are to be drawn in; without them every class is tried. `progress` is told the steps that are done,
    /// and how many there are.
    ///
    /// Errors when an image is not whole or not finite, when labels do not fit, when an option is 0, or for a generator whose
    /// layers take further inputs.
    pub fn invert(
        &mut self,
        targets: &[B::Element],
        labels: Option<&[u32]>,
        options: Inversion,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Inverted<B::Element>> {
        let shape = self.image_shape();
        let (size, z) = (shape.len(), self.generator().input().len());
        if targets.is_empty() || !targets.len().is_multiple_of(size) {
            return Err(Error::invalid(format!(
                "expected one image or more of {shape}, {size} numbers each, got {} in all",
                targets.len()
            )));
        }
        if let Some(x) = targets.iter().find(|x| !x.to_f64().is_finite()) {
            return Err(Error::invalid(format!("an image to look for holds {x}, not a finite number")));
        }
        self.draws_from_latents_alone()?;
        let Inversion { candidates, starts, steps, .. } = options;
        if candidates == 0 || starts == 0 || steps == 0 {
            return Err(Error::invalid(format!(
                "an inversion needs at least 1 candidate, 1 start and 1 step, got {candidates}, {starts} and {steps}"
            )));
        }
        let n = targets.len() / size;
        if let Some(labels) = labels
            && labels.len() != n
        {
            return Err(Error::invalid(format!("{n} images need {n} labels, got {}", labels.len())));
        }
        let scales = Scales::of(shape)?;
        let begins = self.nearest_drawn(targets, labels, &scales, options)?;
        let classes: Option<Vec<u32>> =
            self.classes().map(|_| begins.iter().map(|begin| begin.class).collect());
        let starts = begins.len() / n;
        let mut latents: Vec<B::Element> = begins.into_iter().flat_map(|begin| begin.latent).collect();

        // One image at a time: its starts are a batch.
        let optimiser = Optimiser::from(Adam::new(options.learning_rate));
        optimiser.check()?;
        let mut variables = Variables::new();
        variables.share(self.variables())?;
        let mut state = vec![B::Element::ZERO; 3 * starts * z];
        variables.insert(self.backend(), LATENTS, Shape::from([3, starts * z]), &state)?;
        let mut program =
            Program::new(self.backend(), self.inversion_plan(starts, &scales, &optimiser)?, &variables)?;
        let all = steps * n as u64;
        for (k, (latents, target)) in
            latents.chunks_exact_mut(starts * z).zip(targets.chunks_exact(size)).enumerate()
        {
            let classes = classes.as_deref().map(|classes| &classes[k * starts..][..starts]);
            let told = self.labels_of(latents, classes)?;
            state.fill(B::Element::ZERO);
            state[..starts * z].copy_from_slice(latents);
            variables.write(self.backend(), LATENTS, &state)?;
            program.write(TARGETS, &target.repeat(starts))?;
            if !told.is_empty() {
                program.write(names::LABELS, &told)?;
            }
            if self.config().clusters > 1 {
                let intervals: Vec<[f32; 2]> = latents
                    .chunks_exact(z)
                    .map(|latent| self.bounds().interval(self.bounds().cluster(latent[z - 1].to_f64())))
                    .collect();
                for (k, name) in [LOW, HIGH].into_iter().enumerate() {
                    let ends = intervals.iter().map(|ends| ends[k].clamp(-FARTHEST, FARTHEST));
                    let ends: Vec<B::Element> = ends.map(|end| B::Element::of(f64::from(end))).collect();
                    program.write(name, &ends)?;
                }
            }
            for step in 0..steps {
                let scalars = optimiser.scalars(step + 1, Schedule::Cosine.factor(step, steps));
                let scalars: Vec<B::Element> = scalars.into_iter().map(B::Element::of).collect();
                program.write(SCALARS, &scalars)?;
                program.run()?;
                progress(k as u64 * steps + step + 1, all);
            }
            latents.copy_from_slice(&variables.read(self.backend(), LATENTS)?[..starts * z]);
        }
        self.best_of(targets, &latents, classes.as_deref(), starts)
    }

    /// The starts of each image, [n, starts]: of the latents that are drawn those whose images are nearest.
    fn nearest_drawn(
        &mut self,
        targets: &[B::Element],
        labels: Option<&[u32]>,
        scales: &Scales,
        Inversion { candidates, starts, seed, .. }: Inversion,
    ) -> Result<Vec<Begin<B::Element>>> {
        let size = self.image_shape().len();
        let z = self.generator().input().len();
        let latents = self.latents(candidates, seed);
        let in_turn: Option<Vec<u32>> =
            self.classes().map(|classes| (0..candidates).map(|i| (i % classes) as u32).collect());
        let mut begins = Vec::new();
        // Where classes are given, the candidates are drawn once for each of them.
        let mut drawn: Option<(Option<u32>, Vec<Vec<f64>>)> = None;
        for (k, target) in targets.chunks_exact(size).enumerate() {
            let class = labels.filter(|_| in_turn.is_some()).map(|labels| labels[k]);
            if drawn.as_ref().is_none_or(|(of, _)| *of != class) {
                let classes = class.map_or(in_turn.clone(), |class| Some(vec![class; candidates]));
                let images = self.generate(&latents, classes.as_deref())?;
                drawn =
                    Some((class, images.chunks_exact(size).map(|image| scales.features(image)).collect()));
            }
            let Some((_, drawn)) = &drawn else { unreachable!("drawn above") };
            let target = scales.features(target);
            let mut order: Vec<(f64, usize)> = drawn
                .iter()
                .enumerate()
                .map(|(i, image)| (image.iter().zip(&target).map(|(a, b)| (a - b) * (a - b)).sum(), i))
                .collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            begins.extend(order.iter().take(starts.min(candidates)).map(|&(_, i)| Begin {
                class: class.or(in_turn.as_ref().map(|classes| classes[i])).unwrap_or_default(),
                latent: latents[i * z..][..z].to_vec(),
            }));
        }
        Ok(begins)
    }

    /// A step of all starts of an image.
    fn inversion_plan(&self, starts: usize, scales: &Scales, optimiser: &Optimiser) -> Result<Plan> {
        let graph = &Graph::new();
        let generator = self.generator();
        let z = generator.input().len();
        let state = graph.variable(LATENTS, [3, starts * z]);
        let latents = state.slice(0, 0, 1).reshape(samples(starts, generator.input())?);
        let labels = generator.classes().map(|_| graph.input(names::LABELS, [starts]));
        let images = step::drawn(
            self.config(),
            generator,
            latents,
            &Inputs::new(),
            Pass { labels, ..Pass::inference() },
        )?;
        let targets = graph.input(TARGETS, samples(starts, self.image_shape())?);
        let loss = scales.loss(images.reshape(targets.shape()) - targets);
        let gradient = grad(loss, &[latents])?[0].reshape([starts * z]);
        let scalars = graph.input(SCALARS, [optimiser.scalar_count()]);
        let mut update = optimiser.update(state, gradient, scalars);
        if self.config().clusters > 1 {
            // The last number says which cluster an image is of, and may not leave it.
            let [low, high] = [LOW, HIGH].map(|name| graph.input(name, [starts, 1]));
            let moved = update.slice(0, 0, 1).reshape([starts, z]);
            let last = moved.slice(1, z - 1, z).maximum(low);
            let last = -((-last).maximum(-high));
            let moved = if z == 1 { last } else { Var::concat(&[moved.slice(1, 0, z - 1), last], 1) };
            update = Var::concat(&[moved.reshape([1, starts * z]), update.slice(0, 1, 3)], 0);
        }
        Ok(graph.plan().assign(state, update).build()?)
    }

    /// The best of the starts of each image.
    fn best_of(
        &mut self,
        targets: &[B::Element],
        latents: &[B::Element],
        classes: Option<&[u32]>,
        starts: usize,
    ) -> Result<Inverted<B::Element>> {
        let size = self.image_shape().len();
        let z = self.generator().input().len();
        let images = self.generate(latents, classes)?;
        let mut found = Inverted {
            latents: Vec::new(),
            labels: classes.map(|_| Vec::new()),
            images: Vec::new(),
            errors: Vec::new(),
        };
        for (k, target) in targets.chunks_exact(size).enumerate() {
            let error = |at: usize| -> f64 {
                let image = &images[at * size..][..size];
                let squares = image.iter().zip(target).map(|(a, b)| (a.to_f64() - b.to_f64()).powi(2));
                (squares.sum::<f64>() / size as f64).sqrt()
            };
            let errors = (k * starts..(k + 1) * starts).map(|at| (error(at), at));
            let Some((error, at)) = errors.min_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
            found.latents.extend_from_slice(&latents[at * z..][..z]);
            found.images.extend_from_slice(&images[at * size..][..size]);
            found.errors.push(error);
            if let (Some(labels), Some(classes)) = (&mut found.labels, classes) {
                labels.push(classes[at]);
            }
        }
        Ok(found)
    }
}

/// Where an image begins from.
struct Begin<E> {
    /// 0 for a model without classes.
    class: u32,
    /// `[z]`.
    latent: Vec<E>,
}

/// The sizes of blocks over which images are compared.
struct Scales {
    shape: [usize; 3],
    blocks: Vec<usize>,
}

impl Scales {
    /// For images [height, width, channels]; others are compared number by number.
    fn of(shape: Shape) -> Result<Scales> {
        let &[height, width, channels] = shape.dims() else {
            return Ok(Scales { shape: [1, 1, shape.len()], blocks: vec![1] });
        };
        let fits = |block: &usize| {
            height.is_multiple_of(*block) && width.is_multiple_of(*block) && 4 * block <= height.min(width)
        };
        let blocks =
            std::iter::successors(Some(1), |block| Some(2 * block)).take_while(|b| *b == 1 || fits(b));
        Ok(Scales { shape: [height, width, channels], blocks: blocks.collect() })
    }

    /// The sum over images and scales of the mean squared difference, of differences [n, image].
    fn loss<'g>(&self, difference: Var<'g>) -> Var<'g> {
        let [height, width, channels] = self.shape;
        let n = difference.shape().dims()[0];
        let difference = difference.reshape([n, height, width, channels]);
        let of = |block: usize| {
            let means = match block {
                1 => difference,
                _ => difference.avg_pool2d([block; 2], [block; 2], Padding::Valid),
            };
            means.square().mean_all() * n as f64
        };
        let sum = self.blocks.iter().map(|&block| of(block)).reduce(|a, b| a + b);
        sum.unwrap_or_else(|| unreachable!("there is a block of one pixel"))
    }

    /// Numbers whose squared differences between two images add up to their [`loss`](Scales::loss).
    fn features<E: Element>(&self, image: &[E]) -> Vec<f64> {
        let [height, width, channels] = self.shape;
        let mut features = Vec::new();
        for &block in &self.blocks {
            let (rows, columns) = (height / block, width / block);
            let mut means = vec![0.0; rows * columns * channels];
            for (at, x) in image.iter().enumerate() {
                let (y, x_at, c) = (at / (width * channels), at / channels % width, at % channels);
                means[(y / block * columns + x_at / block) * channels + c] += x.to_f64();
            }
            let scale = 1.0 / ((block * block) as f64 * (means.len() as f64).sqrt());
            features.extend(means.into_iter().map(|sum| sum * scale));
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use gannet_tensor::Reference;

    use super::*;
    use crate::layers::{Conv2d, Dense, Flatten, Label, Reshape};
    use crate::{Activation, GanConfig, Sequential};

    fn gan(classes: usize, clusters: usize) -> Gan<Reference<f64>> {
        let mut generator = Sequential::new("generator", [4]);
        let mut discriminator = Sequential::new("discriminator", [8, 8, 1]);
        if classes * clusters > 1 {
            generator = generator.add(Label::new(classes * clusters));
            discriminator =
                discriminator.add(Flatten::new()).add(crate::layers::Projection::new(classes * clusters));
        } else {
            discriminator = discriminator.add(Flatten::new()).add(Dense::new(1));
        }
        let generator = generator
            .add(Dense::new(64))
            .add(Reshape::new([8, 8, 1]))
            .add(Conv2d::new(1, [3, 3]).padding(Padding::Same).activation(Activation::Tanh));
        Gan::new(&Reference::new(), GanConfig::new(generator, discriminator).clusters(clusters)).unwrap()
    }

    const OPTIONS: Inversion =
        Inversion { candidates: 40, starts: 2, steps: 150, learning_rate: 0.1, seed: 3 };

    #[test]
    fn generated_images_are_found_again() {
        for (classes, clusters) in [(1, 1), (3, 1), (1, 4), (2, 3)] {
            let mut gan = gan(classes, clusters);
            let latents = gan.latents(2, 77);
            let labels = gan.classes().map(|classes| vec![0, classes as u32 - 1]);
            let targets = gan.generate(&latents, labels.as_deref()).unwrap();
            let mut told = Vec::new();
            let found = gan
                .invert(&targets, labels.as_deref(), OPTIONS, |step, steps| told.push((step, steps)))
                .unwrap();
            assert_eq!((told.len(), told[299]), (300, (300, 300)));
            let begun = gan
                .invert(&targets, labels.as_deref(), Inversion { steps: 1, ..OPTIONS }, |_, _| ())
                .unwrap();
            for (error, begun) in found.errors.iter().zip(&begun.errors) {
                assert!(*error < 0.02 && *error < 0.2 * begun, "{classes} {clusters}: {error} of {begun}");
            }
            assert_eq!(found.labels, labels, "the classes asked for are kept");
            assert_eq!(gan.generate(&found.latents, found.labels.as_deref()).unwrap(), found.images);
        }
    }

    #[test]
    fn every_class_is_tried_where_none_is_given() {
        let mut gan = gan(3, 1);
        let targets = gan.generate(&gan.latents(1, 5), Some(&[2])).unwrap();
        let found = gan.invert(&targets, None, Inversion { candidates: 90, ..OPTIONS }, |_, _| ()).unwrap();
        assert!(found.errors[0] < 0.05, "{found:?}");
        assert_eq!(found.labels.map(|labels| labels.len()), Some(1));
    }

    #[test]
    fn candidates_are_compared_by_what_is_minimised() {
        let scales = Scales::of(Shape::from([8, 8, 1])).unwrap();
        assert_eq!(scales.blocks, [1, 2]);
        assert_eq!(Scales::of(Shape::from([64, 32, 3])).unwrap().blocks, [1, 2, 4, 8]);
        assert_eq!(Scales::of(Shape::from([5])).unwrap().blocks, [1]);
        let mut stream = crate::Stream::new(1, "images", 0);
        let mut draw = || -> Vec<f64> { (0..64).map(|_| stream.normal()).collect() };
        let (a, b) = (draw(), draw());
        let graph = &Graph::new();
        let difference: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
        let loss = scales.loss(graph.constant([1, 8, 8, 1], &difference));
        let plan = graph.plan().output("loss", loss).build().unwrap();
        let mut program = Program::new(&Reference::<f64>::new(), plan, &Variables::new()).unwrap();
        program.run().unwrap();
        let (a, b) = (scales.features(&a), scales.features(&b));
        let expected: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
        assert!((program.read("loss").unwrap()[0] - expected).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_looked_for_is_said() {
        let mut gan = gan(2, 1);
        let mut message = |targets: &[f64], labels: Option<&[u32]>, options| {
            gan.invert(targets, labels, options, |_, _| ()).unwrap_err().to_string()
        };
        assert!(message(&[0.0; 63], None, OPTIONS).contains("64 numbers each, got 63"));
        assert!(message(&[], None, OPTIONS).contains("got 0"));
        assert!(message(&[f64::NAN; 64], None, OPTIONS).contains("NaN"));
        assert!(message(&[0.0; 64], Some(&[0, 1]), OPTIONS).contains("1 images need 1 labels, got 2"));
        assert!(message(&[0.0; 64], Some(&[2]), OPTIONS).contains('2'));
        assert!(message(&[0.0; 64], None, Inversion { steps: 0, ..OPTIONS }).contains("1 step, got"));
    }
}
