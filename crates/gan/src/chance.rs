//! The random numbers of a batch.

use gannet_tensor::{Backend, Element, Program, Shape};

use crate::augment::Draws;
use crate::clusters::Bounds;
use crate::config::GanConfig;
use crate::error::Result;
use crate::feeding::write_if_read;
use crate::names;
use crate::passes::Augmentation;
use crate::random::Stream;

/// The random numbers of a batch, or of a micro-batch. They follow from the seed and the number of the batch, counted over
/// the whole run, and from nothing else: not from who computes it, nor from how many there are in a step.
pub(crate) struct Chance<E> {
    /// What the noise of layers is seeded with.
    counter: f64,
    /// Latents [batch_size, z].
    pub(crate) latents: Vec<E>,
    /// Where the last number of a latent says which cluster an image is of, that number is drawn from here.
    clusters: Stream,
    /// Where between generated and real images a penalty looks `[batch_size]`.
    mix: Vec<f64>,
    augmentations: Vec<(Augmentation, Draws)>,
}

/// What random numbers are drawn for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) config: &'a GanConfig,
    /// The shape of an image.
    pub(crate) image: Shape,
    /// The length of a latent.
    pub(crate) z: usize,
    /// The augmentations that take place.
    pub(crate) augmentations: &'a [Augmentation],
}

impl<E: Element> Chance<E> {
    /// The numbers of batch `number`, from 0.
    pub(crate) fn draw(wanted: Wanted<'_>, number: u64) -> Chance<E> {
        let Wanted { config, image, z, augmentations } = wanted;
        let stream = |name: &str| Stream::new(config.seed, name, number);
        let batch = config.batch_size;
        let draw = |of: Augmentation| {
            let augment = config.augment?;
            Some((of, augment.draw(image, of.images(config), &mut stream(of.name()))))
        };
        let (mut latents, mut mix) = (stream(names::LATENTS), stream(names::MIX));
        Chance {
            counter: (number % names::COUNTERS) as f64,
            latents: (0..batch * z).map(|_| E::of(latents.normal())).collect(),
            clusters: stream(names::CLUSTER_STREAM),
            mix: (0..batch).map(|_| mix.uniform(0.0, 1.0)).collect(),
            augmentations: augmentations.iter().copied().filter_map(draw).collect(),
        }
    }

    /// Lets the last numbers of the latents [batch_size, z] name the clusters of these labels `[batch_size]`, of which each
    /// class has so many: what [`Gan::generate`](crate::Gan::generate) will read from them.
    pub(crate) fn choose_clusters(&mut self, clusters: usize, bounds: &Bounds, z: usize, labels: &[E]) {
        if clusters == 1 || z == 0 {
            return;
        }
        for (latent, label) in self.latents.chunks_exact_mut(z).zip(labels) {
            let cluster = label.to_f64() as usize % clusters;
            let x = bounds.draw(cluster, &mut self.clusters, |x| E::of(x).to_f64());
            latent[z - 1] = E::of(x);
        }
    }

    /// The numbers of one batch made of these, in order: the real images of all and then the generated ones of all where
    /// both are augmented together.
    pub(crate) fn joined(parts: Vec<Chance<E>>) -> Option<Chance<E>> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next()?;
        let mut draws: Vec<Vec<Draws>> = Vec::new();
        let kinds: Vec<Augmentation> = whole.augmentations.iter().map(|(of, _)| *of).collect();
        draws.extend(std::mem::take(&mut whole.augmentations).into_iter().map(|(_, draws)| vec![draws]));
        for part in parts {
            whole.latents.extend(part.latents);
            whole.mix.extend(part.mix);
            draws.iter_mut().zip(part.augmentations).for_each(|(all, (_, draws))| all.push(draws));
        }
        let count = whole.mix.len();
        whole.augmentations =
            kinds.into_iter().zip(draws).map(|(of, draws)| (of, Draws::joined(&draws, count))).collect();
        Some(whole)
    }

    /// Writes what the program reads of them, but for the latents.
    pub(crate) fn write<B: Backend<Element = E>>(&self, program: &mut Program<B>) -> Result<()> {
        write_if_read(program, names::COUNTER, &[E::of(self.counter)])?;
        if program.has_input(names::MIX) {
            let mix: Vec<E> = self.mix.iter().map(|x| E::of(*x)).collect();
            program.write(names::MIX, &mix)?;
        }
        self.augmentations.iter().try_for_each(|(of, draws)| draws.write(program, of.name()))
    }
}
