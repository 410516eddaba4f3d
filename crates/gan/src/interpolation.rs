//! The images on the way from some latents to others.

use std::iter::repeat_n;

use gannet_tensor::{Backend, Element, Program};

use crate::error::{Error, Result};
use crate::feeding::{CHUNK, images_of};
use crate::gan::Gan;
use crate::names;
use crate::random::slerp;
use crate::step;

impl<B: Backend> Gan<B> {
    /// The images [n, steps, image] on the ways from the latents `from` [n, z] to those of `to` [n, z], both ends included:
    /// latents go along great circles ([`slerp`]). `labels` are the classes `[n]` at the beginnings and at the ends.
    ///
    /// A generator that is told classes or clusters is told a blend of those of both ends, so that nothing jumps on the
    /// way. Errors when the latents or the labels do not fit, for fewer than two steps, and for a generator whose layers take
    /// further inputs.
    pub fn interpolate(
        &mut self,
        [from, to]: [&[B::Element]; 2],
        labels: Option<[&[u32]; 2]>,
        steps: usize,
    ) -> Result<Vec<B::Element>> {
        let (z, pixels) = (self.generator().input().len(), self.generator().output().len());
        if from.len() != to.len() || !from.len().is_multiple_of(z) {
            return Err(Error::invalid(format!(
                "ways need as many latents of {z} numbers each to begin at as to end at, got {} and {} numbers",
                from.len(),
                to.len()
            )));
        }
        self.draws_from_latents_alone()?;
        if steps < 2 {
            return Err(Error::invalid(format!("a way has two ends, so 2 steps or more, got {steps}")));
        }
        let n = from.len() / z * steps;
        let share = |at: usize| (at % steps) as f64 / (steps - 1) as f64;
        let latent = |at: usize| {
            let of = at / steps * z..(at / steps + 1) * z;
            slerp(&from[of.clone()], &to[of], share(at))
        };
        let told = [self.labels_of(from, labels.map(|l| l[0]))?, self.labels_of(to, labels.map(|l| l[1]))?];
        let latents: Vec<B::Element> = (0..n).flat_map(latent).collect();
        if told[0].is_empty() {
            return self.generate(&latents, None);
        }
        let plan = step::between(self.config(), self.generator(), CHUNK)?;
        let mut program = Program::new(self.backend(), plan, self.variables())?;
        let all_the_way =
            |told: Vec<_>| told.into_iter().flat_map(|label| repeat_n(label, steps)).collect::<Vec<_>>();
        let [labels, others] = told.map(all_the_way);
        let shares: Vec<B::Element> = (0..n).map(|at| B::Element::of(share(at))).collect();
        let inputs = [
            (names::LATENTS, &latents[..]),
            (names::LABELS, &labels),
            (names::OTHER_LABELS, &others),
            (names::SHARE, &shares),
        ];
        images_of(&mut program, n, &inputs, pixels)
    }
}

#[cfg(test)]
mod tests {
    use gannet_tensor::Reference;

    use super::*;
    use crate::layers::{ConditionalBatchNorm, Dense, Flatten, Label, Projection};
    use crate::{GanConfig, Sequential};

    /// A generator that is linear in what it is told.
    fn gan(conditional_norm: bool, classes: usize, clusters: usize) -> Gan<Reference<f64>> {
        let told = classes * clusters;
        let mut generator = Sequential::new("generator", [3]);
        generator = match (told, conditional_norm) {
            (1, _) => generator.add(Dense::new(5)),
            (_, false) => generator.add(Label::new(told).scale(2.0)).add(Dense::new(5)),
            (_, true) => generator.add(Dense::new(5)).add(ConditionalBatchNorm::new(told)),
        };
        let mut discriminator = Sequential::new("discriminator", [5]).add(Flatten::new());
        discriminator = match told {
            1 => discriminator.add(Dense::new(1)),
            _ => discriminator.add(Projection::new(told)),
        };
        let mut config = GanConfig::new(generator, discriminator).clusters(clusters).batch_size(6);
        config.seed = 3;
        let mut gan = Gan::new(&Reference::new(), config).unwrap();
        // So that classes differ in what a norm knows of them.
        let reals: Vec<f64> = (0..30).map(|i| f64::from(i % 7) / 3.0 - 1.0).collect();
        let labels: Option<Vec<u32>> = gan.training_labels().map(|n| (0..6).map(|i| i % n as u32).collect());
        for _ in 0..3 {
            gan.train_on_batch(&reals, labels.as_deref()).unwrap();
        }
        gan
    }

    fn near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
        }
    }

    #[test]
    fn what_is_told_on_the_way_is_a_blend_of_both_ends() {
        for conditional_norm in [false, true] {
            let mut gan = gan(conditional_norm, 4, 1);
            let latents = gan.latents(2, 1);
            let (from, to) = ([1, 3], [2, 0]);
            let ends = [from, to].map(|classes| gan.generate(&latents, Some(&classes)).unwrap());
            // More images than are made at a time.
            let steps = 41;
            let images = gan.interpolate([&latents; 2], Some([&from, &to]), steps).unwrap();
            for (at, image) in images.chunks_exact(5).enumerate() {
                let (way, share) = (at / steps, (at % steps) as f64 / 40.0);
                let of = |end: usize| &ends[end][way * 5..(way + 1) * 5];
                let expected: Vec<f64> =
                    of(0).iter().zip(of(1)).map(|(a, b)| a * (1.0 - share) + b * share).collect();
                near(image, &expected);
            }
            let apart: f64 = ends[0].iter().zip(&ends[1]).map(|(a, b)| (a - b).abs()).sum();
            assert!(apart > 1e-3, "classes make no difference: {apart}");
        }
    }

    #[test]
    fn ways_begin_and_end_at_the_images_of_their_latents() {
        for (classes, clusters) in [(1, 1), (4, 1), (1, 4), (2, 4)] {
            let mut gan = gan(false, classes, clusters);
            let latents = gan.latents(6, 5);
            let (from, to) = latents.split_at(9);
            let labels = gan.classes().map(|_| [[0, 1, 1], [1, 1, 0]]);
            let labels = labels.as_ref().map(|[a, b]| [&a[..], &b[..]]);
            let images = gan.interpolate([from, to], labels, 3).unwrap();
            let first = gan.generate(from, labels.map(|l| l[0])).unwrap();
            let last = gan.generate(to, labels.map(|l| l[1])).unwrap();
            for (way, images) in images.chunks_exact(3 * 5).enumerate() {
                near(&images[..5], &first[way * 5..][..5]);
                near(&images[10..], &last[way * 5..][..5]);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut gan = gan(false, 4, 1);
        let latents = gan.latents(2, 1);
        let mut message = |ends, labels, steps| gan.interpolate(ends, labels, steps).unwrap_err().to_string();
        let (two, one) = (&latents[..], &latents[..3]);
        assert!(message([two, one], Some([&[0, 1], &[0]]), 3).contains("6 and 3 numbers"));
        assert!(message([two, two], Some([&[0, 1], &[0, 1]]), 1).contains("got 1"));
        assert!(message([one, one], Some([&[0], &[4]]), 2).contains('4'));
        assert!(!message([one, one], None, 2).is_empty());
    }
}
