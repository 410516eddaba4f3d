//! A GAN on a device: training, sampling, its weights by name.

use gannet_tensor::{Backend, Element, Plan, Program, Shape, Variables};

use crate::accumulation::{Kept, Recipe};
use crate::chance::{Chance, Wanted};
use crate::clusters::Bounds;
use crate::collective::Collective;
use crate::config::GanConfig;
use crate::error::{Error, Result};
use crate::feeding::{CHUNK, images_of, write_if_read};
use crate::loss_queue::{Expected, LATE_LOSSES, LossQueue, Losses, StepLosses};
use crate::micro_batches::{MicroBatches, Slices};
use crate::model::{Model, inputs_of};
use crate::names;
use crate::optimisers::Optimiser;
use crate::ordered_sum::OrderedSum;
use crate::passes::{Augmentation, Origin, Phase, StepKind};
use crate::programs::{Part, Programs};
use crate::random::Stream;
use crate::samples::{Samples, part};
use crate::slots::{self, Slot};
use crate::step::{self, LOSS_STRIDE, losses_len, second_moments};
use crate::told::Told;

/// A generator and a discriminator on a device.
///
/// ```
/// use gannet::{Gan, Reference, presets};
///
/// let mut config = presets::get("dcgan").unwrap();
/// config.batch_size = 2;
/// let mut gan = Gan::new(&Reference::<f32>::new(), config).unwrap();
/// let latents = gan.latents(4, 7);
/// let images = gan.generate(&latents, None).unwrap();
/// assert_eq!(images.len(), 4 * 28 * 28);
/// ```
pub struct Gan<B: Backend> {
    backend: B,
    config: GanConfig,
    generator: Model,
    discriminator: Model,
    /// What layers of either take beside latents and images.
    inputs: Vec<(String, Shape)>,
    variables: Variables<B>,
    slots: Vec<Slot>,
    step: u64,
    /// A program for each kind of step (with and without lazy penalties, with and without the generator), or for each part of
    /// one that is made of micro-batches.
    training: Programs<B>,
    losses: LossQueue,
    sampling: Option<Program<B>>,
    /// Where the last number of a latent passes from one cluster to the next.
    bounds: Bounds,
    gauges: Option<Program<B>>,
    /// What ranks add together.
    sums: OrderedSum<B::Element>,
}

impl<B: Backend> std::fmt::Debug for Gan<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gan '{}' on {}, step {}", self.config.name, self.backend.describe(), self.step)
    }
}

impl<B: Backend> Gan<B> {
    /// A GAN with fresh weights. Errors when the configuration does not fit together, naming what and why, or when
    /// the device has no room.
    pub fn new(backend: &B, config: GanConfig) -> Result<Gan<B>> {
        let (generator, discriminator) = config.build()?;
        step::check(&config, &generator, &discriminator)?;
        let mut variables = Variables::new();
        for (model, training) in
            [(&generator, config.generator_training()), (&discriminator, config.discriminator_training())]
        {
            let averaged = config.ema.is_some() && model.name() == generator.name();
            insert_model(backend, &mut variables, model, training.optimiser, config.seed, averaged)?;
        }
        if config.accumulate > 1 {
            let recipe = Recipe { config: &config, generator: &generator, discriminator: &discriminator };
            for Kept { name, shape } in recipe.kept() {
                variables.insert(backend, &name, shape, &vec![B::Element::ZERO; shape.len()])?;
            }
        }
        let slots = slots::slots(&config, &generator, &discriminator);
        Ok(Gan {
            bounds: Bounds::new(config.clusters),
            backend: backend.clone(),
            config,
            inputs: inputs_of(&generator, &discriminator),
            generator,
            discriminator,
            variables,
            slots,
            step: 0,
            training: Programs::new(),
            losses: LossQueue::default(),
            sampling: None,
            gauges: None,
            sums: OrderedSum::new(),
        })
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &GanConfig {
        &self.config
    }

    /// The generator's layers and shapes.
    pub fn generator(&self) -> &Model {
        &self.generator
    }

    /// The discriminator's layers and shapes.
    pub fn discriminator(&self) -> &Model {
        &self.discriminator
    }

    /// The device.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The shape of an image: [height, width, channels].
    pub fn image_shape(&self) -> Shape {
        self.discriminator.input()
    }

    /// The number of classes of a conditional model. Where they are cut into clusters, the classes as a whole.
    pub fn classes(&self) -> Option<usize> {
        let told = self.config.conditional(&self.generator, &self.discriminator)?;
        // Clusters without classes are the model's own affair.
        self.config.classes_among(told)
    }

    /// The number of labels that training needs, one for each image: the classes times their clusters. `None` for a model
    /// that is told nothing.
    pub fn training_labels(&self) -> Option<usize> {
        self.config.conditional(&self.generator, &self.discriminator)
    }

    /// What layers of either model take beside latents and images, by name, with the shape of a sample: what training is given
    /// by [`Samples::with`], for real and generated images alike.
    pub fn inputs(&self) -> &[(String, Shape)] {
        &self.inputs
    }

    /// The training steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Prepares the next training step, which that step otherwise does, and gives its plan (to print, or to count
    /// its operations). Errors where a step is made of micro-batches, which [`plans`](Gan::plans) tells of.
    pub fn prepare(&mut self) -> Result<&Plan> {
        let position = self.whole()?;
        Ok(self.training.look(position).plan())
    }

    /// Prepares the next training step, and gives the plans that it runs, in order, with how often it runs each: one plan,
    /// once, or three for each phase of a step of micro-batches.
    pub fn plans(&mut self) -> Result<Vec<(&Plan, u64)>> {
        let kind = StepKind::of(&self.config, self.step);
        let accumulate = self.config.accumulate;
        let positions: Vec<(usize, u64)> = match accumulate {
            1 => vec![(self.position(&Part::Whole(kind))?, 1)],
            _ => {
                let phases = self.positions(&kind)?;
                phases.into_iter().flat_map(|(_, [a, b, c])| [(a, 1), (b, accumulate), (c, 1)]).collect()
            }
        };
        Ok(positions.into_iter().map(|(at, runs)| (self.training.look(at).plan(), runs)).collect())
    }

    /// The device's own form of the next training step, for what only that device can say of it (a profile). Errors where a
    /// step is made of micro-batches.
    pub fn executable(&mut self) -> Result<&mut B::Executable> {
        let position = self.whole()?;
        Ok(self.training.at(position).executable())
    }

    /// The position of the program of the next step, if it is one.
    fn whole(&mut self) -> Result<usize> {
        if self.config.accumulate > 1 {
            return Err(Error::invalid(format!(
                "a step of {} micro-batches is several programs; that of a single batch is one (accumulate = 1)",
                self.config.accumulate
            )));
        }
        self.position(&Part::Whole(StepKind::of(&self.config, self.step)))
    }

    /// Latents for `n` images, [n, z]: independent and standard normal, from a stream that `seed` fixes. The first
    /// of them do not depend on `n`.
    pub fn latents(&self, n: usize, seed: u64) -> Vec<B::Element> {
        normal(n * self.generator.input().len(), &mut Stream::new(seed, "latents", u64::MAX))
    }

    /// One training step on a batch of real images [batch_size, H, W, C] in [-1, 1] (row-major) and, for a
    /// conditional model, their classes `[batch_size]`, which the generated images are asked for too; of a model with
    /// clusters, the labels that [`partition`](crate::partition) gives. Latents come from the configuration's seed and the
    /// number of the step. Where a step is made of [micro-batches](crate::GanConfig::accumulate), these are one after another
    /// in `real` [accumulate * batch_size, H, W, C] and `labels`.
    ///
    /// What layers take beside images and latents ([`inputs`](Gan::inputs)) comes with the real images, and is what the
    /// generated ones are asked for, too:
    ///
    /// ```
    /// use gannet::layers::{ConcatInput, Dense};
    /// use gannet::{Cpu, Gan, GanConfig, Samples, Sequential};
    ///
    /// let angle = ConcatInput::new("angle", [1]);
    /// let generator = Sequential::new("generator", [2]).add(angle.clone()).add(Dense::new(2));
    /// let discriminator = Sequential::new("discriminator", [2]).add(angle).add(Dense::new(1));
    /// let mut gan = Gan::new(&Cpu::new()?, GanConfig::new(generator, discriminator).batch_size(3))?;
    /// let (points, angles) = ([0.5, 0.5, 0.0, 1.0, -1.0, 0.0], [0.8, 1.6, 3.1]);
    /// gan.train_on_batch(Samples::new(&points).with("angle", &angles), None)?;
    /// let point = gan.generate(Samples::new(&[0.1, -0.3]).with("angle", &[0.8]), None)?;
    /// assert_eq!(point.len(), 2);
    /// # Ok::<(), gannet::Error>(())
    /// ```
    ///
    /// Errors when the batch does not fit, or when a loss is no longer a finite number.
    pub fn train_on_batch<'a>(
        &mut self,
        real: impl Into<Samples<'a, B::Element>>,
        labels: Option<&'a [u32]>,
    ) -> Result<Losses>
    where
        B::Element: 'a,
    {
        self.train_step(real, labels)?;
        self.losses()
    }

    /// [`train_on_batch`](Gan::train_on_batch) with latents [batch_size, z] of the caller's, or as many for each micro-batch.
    pub fn train_on_batch_with<'a>(
        &mut self,
        real: impl Into<Samples<'a, B::Element>>,
        latents: &[B::Element],
        labels: Option<&'a [u32]>,
    ) -> Result<Losses>
    where
        B::Element: 'a,
    {
        self.train_step_with(real, latents, labels)?;
        self.losses()
    }

    /// [`train_on_batch`](Gan::train_on_batch) without reading the losses, which would wait for the device. They are
    /// taken some steps later:
    ///
    /// ```
    /// # use gannet::{Gan, GanConfig, Cpu, layers};
    /// # let config = gannet::presets::get("seed-dense").unwrap();
    /// # let mut gan = Gan::new(&Cpu::new().unwrap(), config).unwrap();
    /// # let batch = vec![0.5; gan.config().batch_size * gan.image_shape().len()];
    /// for _ in 0..3 {
    ///     gan.train_step(&batch, None)?;
    ///     while let Some(of) = gan.next_losses()? {
    ///         println!("{}: {:?}", of.step, of.losses);
    ///     }
    /// }
    /// while let Some(of) = gan.awaited_losses()? {
    ///     println!("{}: {:?}", of.step, of.losses);
    /// }
    /// # Ok::<(), gannet::Error>(())
    /// ```
    ///
    /// Losses that are never taken make room for later ones.
    pub fn train_step<'a>(
        &mut self,
        real: impl Into<Samples<'a, B::Element>>,
        labels: Option<&'a [u32]>,
    ) -> Result<()>
    where
        B::Element: 'a,
    {
        let mut slices = self.slices(real.into(), labels)?;
        self.train(&mut slices, None, None)
    }

    /// [`train_step`](Gan::train_step) with latents [batch_size, z] of the caller's, or as many for each micro-batch. Of a model
    /// with clusters, the last number of each is drawn anew: it says which cluster an image is of.
    pub fn train_step_with<'a>(
        &mut self,
        real: impl Into<Samples<'a, B::Element>>,
        latents: &[B::Element],
        labels: Option<&'a [u32]>,
    ) -> Result<()>
    where
        B::Element: 'a,
    {
        let mut slices = self.slices(real.into(), labels)?;
        let (count, z) = (slices.count, self.generator.input().len());
        if count > 1 && latents.len() != count * self.config.batch_size * z {
            return Err(Error::invalid(format!(
                "a step of {count} micro-batches of {} images takes {} latents of {z} numbers each, got {} numbers in all",
                self.config.batch_size,
                count * self.config.batch_size,
                latents.len()
            )));
        }
        self.train(&mut slices, Some(latents), None)
    }

    /// [`train_step`](Gan::train_step) with batches that are asked for one by one, so that no more than one of a step's
    /// micro-batches has to be in memory. Errors as that does, or as `batches` does; a step that ends in an error may have
    /// updated the discriminator and not the generator.
    pub fn train_step_by<M: MicroBatches<B::Element>>(&mut self, batches: &mut M) -> Result<(), M::Error> {
        self.train(batches, None, None)
    }

    /// [`train_step_by`](Gan::train_step_by) shared by ranks, each of which has a `Gan` of the same configuration at the same
    /// step: of the micro-batches of a step, rank r of R computes every R-th from the r-th on, and only those are asked of its
    /// `batches`. Every rank then holds the same model, losses and gauges: those, bit for bit, that one rank alone would have
    /// with backends that round alike. [`accumulate`](crate::GanConfig::accumulate) is the number of micro-batches of all ranks
    /// together, and R divides it.
    ///
    /// In each phase of a step a rank sends (R - 1) / R of the numbers of a gradient, with the states of layers, once for each
    /// of its micro-batches and once more for the sum; nothing else that grows with the model or the batch.
    ///
    /// Errors as `train_step_by` does, when R does not fit, and when ranks are not heard from. After an error the others wait
    /// for this rank, until it calls [`abort`](Collective::abort).
    pub fn train_step_among<M: MicroBatches<B::Element>>(
        &mut self,
        ranks: &mut dyn Collective<B::Element>,
        batches: &mut M,
    ) -> Result<(), M::Error> {
        let (count, accumulate) = (ranks.ranks(), self.config.accumulate);
        if count == 1 {
            return self.train_step_by(batches);
        }
        if !accumulate.is_multiple_of(count as u64) {
            return Err(M::Error::from(Error::invalid(format!(
                "{count} ranks cannot share the {accumulate} micro-batches of a step evenly: their number has to divide it"
            ))));
        }
        self.train(batches, None, Some(ranks))
    }

    /// For tests of micro-batches: one step on a single batch, with the random numbers that `count` micro-batches of it would
    /// have.
    #[doc(hidden)]
    pub fn train_step_as_one<'a>(
        &mut self,
        count: usize,
        real: impl Into<Samples<'a, B::Element>>,
        labels: Option<&[u32]>,
    ) -> Result<()>
    where
        B::Element: 'a,
    {
        let kind = StepKind::of(&self.config, self.step);
        let real = real.into();
        let told = self.told(&real, labels)?;
        let mut config = self.config.clone();
        config.batch_size /= count;
        let augmentations: Vec<Augmentation> = Augmentation::of(&kind).collect();
        let first = self.step * count as u64;
        let parts = (0..count).map(|at| {
            let mut chance = self.chance(&config, &augmentations, first + at as u64);
            self.choose_clusters(&mut chance, part(&told.labels, at, count));
            chance
        });
        let Some(chance) = Chance::joined(parts.collect()) else { return Ok(()) };
        let position = self.run_whole(&kind, real.x(), &told, &chance)?;
        self.stepped(&kind, position)
    }

    /// The batch of a step, or its micro-batches, in memory. Errors when these are not as many as a step takes.
    fn slices<'a>(
        &self,
        real: Samples<'a, B::Element>,
        labels: Option<&'a [u32]>,
    ) -> Result<Slices<'a, B::Element>> {
        let (accumulate, batch) = (self.config.accumulate, self.config.batch_size);
        let (count, image) = (accumulate as usize, self.image_shape());
        // A single batch is checked where it is written.
        if count > 1 {
            let images = count * batch;
            if real.x().len() != images * image.len() {
                return Err(Error::invalid(format!(
                    "a step of {count} micro-batches of {batch} images of shape {image} takes {} numbers, got {}",
                    images * image.len(),
                    real.x().len()
                )));
            }
            self.label_values(labels, self.training_labels(), images)?;
            real.further(&self.config.name, &self.inputs, images)?;
        }
        Ok(Slices { real, labels, count, first: self.step * accumulate })
    }

    /// One training step, shared with other ranks if there are some. `latents` are those of all micro-batches, where the
    /// caller has some.
    fn train<M: MicroBatches<B::Element>>(
        &mut self,
        batches: &mut M,
        latents: Option<&[B::Element]>,
        ranks: Option<&mut dyn Collective<B::Element>>,
    ) -> Result<(), M::Error> {
        let kind = StepKind::of(&self.config, self.step);
        let position = match self.config.accumulate {
            1 => {
                let (real, labels) = batches.micro_batch(self.step)?;
                let told = self.told(&real, labels)?;
                let augmentations: Vec<Augmentation> = Augmentation::of(&kind).collect();
                let mut chance = self.chance(&self.config, &augmentations, self.step);
                if let Some(latents) = latents {
                    chance.latents = latents.to_vec();
                }
                self.choose_clusters(&mut chance, &told.labels);
                self.run_whole(&kind, real.x(), &told, &chance)?
            }
            _ => self.run_phases(&kind, batches, latents, ranks)?,
        };
        Ok(self.stepped(&kind, position)?)
    }

    /// A step has been handed to the device; the program at `position` gives its losses.
    fn stepped(&mut self, kind: &StepKind, position: usize) -> Result<()> {
        self.step += 1;
        self.losses.expect(Expected { step: self.step, program: position, generator: kind.generator });
        self.receive(LATE_LOSSES)
    }

    /// Runs a step that is one program, and gives the program's position.
    fn run_whole(
        &mut self,
        kind: &StepKind,
        real: &[B::Element],
        told: &Told<B::Element>,
        chance: &Chance<B::Element>,
    ) -> Result<usize> {
        let rates = self.rates();
        let position = self.position(&Part::Whole(kind.clone()))?;
        let program = self.training.at(position);
        program.write(names::REAL, real)?;
        program.write(names::LATENTS, &chance.latents)?;
        told.write(program)?;
        chance.write(program)?;
        write_rates(program, &rates)?;
        program.request(names::LOSSES)?;
        program.run()?;
        Ok(position)
    }

    /// Runs a step that is made of micro-batches, and gives the position of the program with its losses. Among `ranks` this
    /// one runs its own of them.
    fn run_phases<M: MicroBatches<B::Element>>(
        &mut self,
        kind: &StepKind,
        batches: &mut M,
        latents: Option<&[B::Element]>,
        mut ranks: Option<&mut dyn Collective<B::Element>>,
    ) -> Result<usize, M::Error> {
        // All of them before any is run: if there is no memory for one, nothing has happened yet.
        let phases = self.positions(kind)?;
        let rates = self.rates();
        let count = self.config.accumulate as usize;
        let first = self.step * self.config.accumulate;
        let (rank, of) = ranks.as_ref().map_or((0, 1), |ranks| (ranks.rank(), ranks.ranks()));
        let mut told: Vec<Told<B::Element>> = Vec::with_capacity(count / of);
        let mut last = 0;
        for (i, &(phase, [clearing, gradients, update])) in phases.iter().enumerate() {
            if ranks.is_some() {
                self.sums.begin(self.recipe().sum_len(phase), of);
            }
            for (round, at) in (rank..count).step_by(of).enumerate() {
                // Among ranks each gives what its micro-batch gives, and the sum is elsewhere.
                if round == 0 || ranks.is_some() {
                    self.training.at(clearing).run().map_err(Error::from)?;
                }
                let number = first + at as u64;
                let mut real = None;
                if i == 0 || phase.reads_real(&self.config) {
                    let (images, classes) = batches.micro_batch(number)?;
                    if i == 0 {
                        told.push(self.told(&images, classes)?);
                    }
                    real = Some(images);
                }
                let mut chance = self.chance(&self.config, &[phase.augmentation()], number);
                if let Some(latents) = latents {
                    chance.latents = part(latents, at, count).to_vec();
                }
                self.choose_clusters(&mut chance, &told[round].labels);
                let program = self.training.at(gradients);
                if let Some(real) = real {
                    write_if_read(program, names::REAL, real.x())?;
                }
                write_if_read(program, names::LATENTS, &chance.latents)?;
                told[round].write(program)?;
                chance.write(program)?;
                program.run().map_err(Error::from)?;
                if let Some(ranks) = ranks.as_deref_mut() {
                    self.add_among(phase, ranks)?;
                }
            }
            if let Some(ranks) = ranks.as_deref_mut() {
                self.sum_among(phase, ranks)?;
            }
            let program = self.training.at(update);
            write_rates(program, &rates)?;
            if i + 1 == phases.len() {
                program.request(names::LOSSES).map_err(Error::from)?;
            }
            program.run().map_err(Error::from)?;
            last = update;
        }
        Ok(last)
    }

    /// Adds what the micro-batch that was run last gives, and those of the other ranks, to the sum of all.
    fn add_among(&mut self, phase: Phase, ranks: &mut dyn Collective<B::Element>) -> Result<()> {
        let name = names::sum(self.recipe().model(phase).name());
        self.variables.read_into(&self.backend, &name, self.sums.summand())?;
        self.sums.add(ranks)
    }

    /// Leaves a phase's sum, and its scores, as they would be if this rank had run all micro-batches.
    fn sum_among(&mut self, phase: Phase, ranks: &mut dyn Collective<B::Element>) -> Result<()> {
        let rounds = self.config.accumulate as usize / ranks.ranks();
        let scored = phase.scored(&self.config);
        let scores = match scored {
            0 => Vec::new(),
            _ => self.variables.read(&self.backend, &names::phase_scores(phase.name()))?,
        };
        // Those of the last micro-batches come last.
        let own = &scores[scores.len() - rounds * scored..];
        let name = names::sum(self.recipe().model(phase).name());
        let (sum, scores) = self.sums.end(ranks, own, rounds)?;
        self.variables.write(&self.backend, &name, sum)?;
        if scored > 0 {
            self.variables.write(&self.backend, &names::phase_scores(phase.name()), &scores)?;
        }
        Ok(())
    }

    /// The models with their configuration.
    fn recipe(&self) -> Recipe<'_> {
        Recipe { config: &self.config, generator: &self.generator, discriminator: &self.discriminator }
    }

    /// The positions of the programs of each phase of a step of micro-batches.
    fn positions(&mut self, kind: &StepKind) -> Result<Vec<(Phase, [usize; 3])>> {
        let phases = kind.phases(&self.config);
        let mut positions = Vec::new();
        for (phase, [clearing, gradients, update]) in
            phases.iter().zip(Part::of_phases(&phases, &kind.penalties))
        {
            // The one that takes most memory first: the others find room in what it had.
            let gradients = self.position(&gradients)?;
            let (clearing, update) = (self.position(&clearing)?, self.position(&update)?);
            positions.push((*phase, [clearing, gradients, update]));
        }
        Ok(positions)
    }

    /// The random numbers of a batch.
    fn chance(&self, config: &GanConfig, augmentations: &[Augmentation], number: u64) -> Chance<B::Element> {
        let (image, z) = (self.image_shape(), self.generator.input().len());
        Chance::draw(Wanted { config, image, z, augmentations }, number)
    }

    /// What networks are told of a batch of these images, checked.
    fn told(&self, images: &Samples<'_, B::Element>, labels: Option<&[u32]>) -> Result<Told<B::Element>> {
        let n = self.config.batch_size;
        let labels = self.label_values(labels, self.training_labels(), n)?;
        Told::new(labels, images, &self.config.name, &self.inputs, n)
    }

    /// Lets latents name the clusters of these labels.
    fn choose_clusters(&self, chance: &mut Chance<B::Element>, labels: &[B::Element]) {
        chance.choose_clusters(self.config.clusters, &self.bounds, self.generator.input().len(), labels);
    }

    /// The numbers of the next step that its updates depend on, by the inputs that take them.
    fn rates(&self) -> Vec<(String, Vec<f64>)> {
        let (config, step) = (&self.config, self.step);
        let factor = config.schedule.factor(step, config.steps.unwrap_or(0));
        let generator_step = step / config.discriminator_steps;
        let (g, d) = (self.generator.name(), self.discriminator.name());
        let rule = &config.discriminator_optimiser;
        // Updates are counted from 1.
        let first = if config.separate_updates { 2 * step + 1 } else { step + 1 };
        let mut rates = vec![
            (names::scalars(g), config.generator_optimiser.scalars(generator_step + 1, factor)),
            (names::scalars(d), rule.scalars(first, factor)),
            (names::second_scalars(d), rule.scalars(first + 1, factor)),
        ];
        rates.extend(config.ema.map(|ema| (names::EMA_RATE.into(), vec![ema.rate(generator_step)])));
        rates
    }

    /// The losses of the oldest step whose losses have not been taken, if they have arrived: at most
    /// [`LATE_LOSSES`] steps late, and without waiting. Errors when one of them is not a finite number, with the
    /// step: training has diverged.
    pub fn next_losses(&mut self) -> Result<Option<StepLosses>> {
        let earlier = self.losses.take()?;
        if earlier.is_some() {
            return Ok(earlier);
        }
        self.receive(LATE_LOSSES)?;
        self.losses.take()
    }

    /// [`next_losses`](Gan::next_losses), but waits until they arrive; none are left when it gives none.
    pub fn awaited_losses(&mut self) -> Result<Option<StepLosses>> {
        let earlier = self.losses.take()?;
        if earlier.is_some() {
            return Ok(earlier);
        }
        self.receive(0)?;
        self.losses.take()
    }

    /// The losses of the last training step, for which it waits; the generator's are those of its last update. They
    /// stay to be taken. Errors before the first step, and when a step's were not finite numbers: training has
    /// diverged.
    pub fn losses(&mut self) -> Result<Losses> {
        self.receive(0)?;
        let last = self.losses.last()?;
        last.map(|last| last.losses)
            .ok_or_else(|| Error::invalid("there are no losses before the first training step"))
    }

    /// The loss of the generator's last update, if it had one.
    pub(crate) fn generator_loss(&mut self) -> Result<Option<f64>> {
        self.receive(0)?;
        Ok(self.losses.generator())
    }

    /// Takes losses over from the device, and waits until it has those of `late` steps at most.
    fn receive(&mut self, late: usize) -> Result<()> {
        while let Some(Expected { program, generator, .. }) = self.losses.next_expected() {
            let wait = self.losses.under_way() > late;
            let mut values = [B::Element::ZERO; losses_len(3)];
            let count = if generator { 3 } else { 2 };
            if !self.training.at(program).collect(names::LOSSES, wait, &mut values[..losses_len(count)])? {
                return Ok(());
            }
            let losses = [0, 1, 2].map(|i| values[i * LOSS_STRIDE].to_f64());
            self.losses.arrive(&losses[..count]);
        }
        Ok(())
    }

    /// Images [n, H, W, C] in the generator's range, from latents [n, z] and, for a conditional generator, the class
    /// of each. Of a model with clusters, the last number of a latent decides the cluster. What layers of the generator take
    /// beside latents comes with them ([`Samples::with`]). Running statistics take the place of the batch's; weights and
    /// statistics are those of the average where there is one.
    pub fn generate<'a>(
        &mut self,
        latents: impl Into<Samples<'a, B::Element>>,
        labels: Option<&[u32]>,
    ) -> Result<Vec<B::Element>>
    where
        B::Element: 'a,
    {
        let samples = latents.into();
        let latents = samples.x();
        let (z, pixels) = (self.generator.input().len(), self.generator.output().len());
        if !latents.len().is_multiple_of(z) {
            return Err(Error::invalid(format!(
                "expected latents of {z} numbers each, got {} in all",
                latents.len()
            )));
        }
        let n = latents.len() / z;
        let labels = self.labels_of(latents, labels)?;
        let further = samples.further(self.generator.name(), self.generator.inputs(), n)?;
        let further_names: Vec<String> =
            self.generator.inputs().iter().map(|(name, _)| names::further(name)).collect();
        let program = self.sampling()?;
        let mut inputs = vec![(names::LATENTS, latents)];
        if !labels.is_empty() {
            inputs.push((names::LABELS, &labels));
        }
        inputs.extend(further_names.iter().map(String::as_str).zip(further));
        images_of(program, n, &inputs, pixels)
    }

    /// The plan by which [`generate`](Gan::generate) draws, of as many images as it draws at a time.
    pub fn sampling_plan(&mut self) -> Result<&Plan> {
        Ok(self.sampling()?.plan())
    }

    /// The program that draws images.
    fn sampling(&mut self) -> Result<&mut Program<B>> {
        if self.sampling.is_none() {
            let plan = step::sampling(&self.config, &self.generator, CHUNK)?;
            self.sampling = Some(Program::new(&self.backend, plan, &self.variables)?);
        }
        let Some(program) = &mut self.sampling else { unreachable!("made above") };
        Ok(program)
    }

    /// Errors for a generator whose layers take more than latents and labels.
    pub(crate) fn draws_from_latents_alone(&self) -> Result<()> {
        match self.generator.inputs().first() {
            Some((name, _)) => Err(Error::invalid(format!(
                "{}: a layer takes the input '{name}', which is given to Gan::generate alone",
                self.generator.name()
            ))),
            None => Ok(()),
        }
    }

    /// The labels `[n]` that the generator is told with latents [n, z] and the classes asked for; empty where it is told none.
    pub(crate) fn labels_of(
        &self,
        latents: &[B::Element],
        labels: Option<&[u32]>,
    ) -> Result<Vec<B::Element>> {
        let z = self.generator.input().len();
        let n = latents.len() / z;
        let classes = self.generator.classes().and(self.classes());
        let mut labels = self.label_values(labels, classes, n)?;
        let clusters = self.config.clusters;
        if clusters > 1 {
            labels.resize(n, B::Element::ZERO);
            for (label, latent) in labels.iter_mut().zip(latents.chunks_exact(z)) {
                let cluster = self.bounds.cluster(latent[z - 1].to_f64());
                *label = B::Element::of(label.to_f64() * clusters as f64 + cluster as f64);
            }
        }
        Ok(labels)
    }

    /// The tensors that make up its state, by name, with their shapes: weights and running statistics
    /// (`generator/2.batch_norm/gamma`), the optimisers' moments (`optimiser/generator/0.dense/kernel/m`), and the
    /// average (`ema/generator/0.dense/kernel`).
    pub fn tensors(&self) -> impl Iterator<Item = (&str, Shape)> {
        self.slots.iter().map(|slot| (slot.name.as_str(), slot.shape))
    }

    /// The values of a tensor, in the layout of its layer.
    pub fn read_tensor(&self, name: &str) -> Result<Vec<B::Element>> {
        slots::read(&self.slots, &self.variables, &self.backend, name)
    }

    /// Overwrites a tensor. Setting a weight does not change its average.
    pub fn write_tensor(&mut self, name: &str, values: &[B::Element]) -> Result<()> {
        slots::write(&self.slots, &mut self.variables, &self.backend, name, values)
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(crate) fn variables(&self) -> &Variables<B> {
        &self.variables
    }

    /// Changes the length of the run, over which the learning rates of a schedule fall. Those of the steps that are done
    /// followed from the old length; those that come are what the schedule gives for a run of `steps` steps.
    pub fn set_steps(&mut self, steps: u64) {
        self.config.steps = Some(steps);
    }

    /// Multiplies the learning rates of both optimisers, from the next step on. Errors, and changes nothing, when the
    /// factor is not a positive number.
    pub fn scale_learning_rates(&mut self, factor: f64) -> Result<()> {
        if !(factor.is_finite() && factor > 0.0) {
            return Err(Error::invalid(format!(
                "learning rates are scaled by a positive number, got {factor}"
            )));
        }
        for optimiser in [&mut self.config.generator_optimiser, &mut self.config.discriminator_optimiser] {
            *optimiser = optimiser.with_learning_rate(optimiser.learning_rate() * factor);
        }
        Ok(())
    }

    /// Takes everything from the device that is still under way, for nobody.
    pub(crate) fn forget_losses(&mut self) -> Result<()> {
        self.receive(0)
    }

    /// Says how many training steps are done: where tensors were written one by one
    /// ([`write_tensor`](Gan::write_tensor)), what comes next goes on from there, in the noise of its steps, in schedules,
    /// and in what optimisers correct by the number of their updates. Losses that were not taken are forgotten.
    pub fn set_step(&mut self, step: u64) -> Result<()> {
        self.forget_losses()?;
        self.go_on(step, None);
        Ok(())
    }

    /// Goes on from step `step` of a run that was saved.
    pub(crate) fn go_on(&mut self, step: u64, generator_loss: Option<f64>) {
        self.step = step;
        self.losses = LossQueue::going_on(generator_loss);
    }

    /// What the discriminator said of the images of step `step` (from 0), if that was the last: [2 n, 1], the real ones
    /// first, n in all micro-batches.
    pub(crate) fn scores_of(&mut self, step: u64) -> Result<Vec<B::Element>> {
        let kind = StepKind::of(&self.config, step);
        if self.config.accumulate == 1 {
            let position = self.position(&Part::Whole(kind))?;
            return Ok(self.training.at(position).read(names::SCORES)?);
        }
        let batch = self.config.batch_size;
        let [mut real, mut fake] = [Vec::new(), Vec::new()];
        for phase in kind.phases(&self.config) {
            if phase == Phase::Generator {
                continue;
            }
            let scores = self.variables.read(&self.backend, &names::phase_scores(phase.name()))?;
            match phase {
                Phase::Apart(Origin::Real) => real = scores,
                Phase::Apart(Origin::Generated) => fake = scores,
                Phase::Both | Phase::Generator => {
                    for scores in scores.chunks_exact(2 * batch) {
                        real.extend_from_slice(&scores[..batch]);
                        fake.extend_from_slice(&scores[batch..]);
                    }
                }
            }
        }
        real.extend(fake);
        Ok(real)
    }

    /// The program that sums up the optimisers' second moments.
    pub(crate) fn gauge_program(&mut self) -> Result<&mut Program<B>> {
        if self.gauges.is_none() {
            let generator = (&self.generator, &self.config.generator_optimiser);
            let discriminator = (&self.discriminator, &self.config.discriminator_optimiser);
            let plan = second_moments([generator, discriminator])?;
            self.gauges = Some(Program::new(&self.backend, plan, &self.variables)?);
        }
        let Some(program) = &mut self.gauges else { unreachable!("made above") };
        Ok(program)
    }

    /// The position of the program that does a part of training, which is made if there is none yet.
    fn position(&mut self, part: &Part) -> Result<usize> {
        let Gan { backend, config, generator, discriminator, variables, training, .. } = self;
        training.position(backend, Recipe { config, generator, discriminator }, variables, part)
    }

    /// Labels as the device takes them, checked; none for a model without classes.
    fn label_values(
        &self,
        labels: Option<&[u32]>,
        classes: Option<usize>,
        n: usize,
    ) -> Result<Vec<B::Element>> {
        match (classes, labels) {
            (None, None) => Ok(Vec::new()),
            (None, Some(_)) => Err(Error::invalid("labels were given, but the model has no classes")),
            (Some(classes), None) => Err(Error::invalid(format!(
                "the model has {classes} classes: it needs the class of each image, a number from 0 to {}",
                classes - 1
            ))),
            (Some(_), Some(labels)) if labels.len() != n => {
                Err(Error::invalid(format!("expected {n} labels, one for each image, got {}", labels.len())))
            }
            (Some(classes), Some(labels)) => {
                if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
                    return Err(Error::invalid(format!(
                        "there is no class {label}: the model has classes 0 to {}",
                        classes - 1
                    )));
                }
                Ok(labels.iter().map(|label| B::Element::of(f64::from(*label))).collect())
            }
        }
    }
}

/// Adds the fresh variables of a model: parameters and moments, states, and the averages of both if asked for.
pub(crate) fn insert_model<B: Backend>(
    backend: &B,
    variables: &mut Variables<B>,
    model: &Model,
    optimiser: &Optimiser,
    seed: u64,
    averaged: bool,
) -> Result<()> {
    let mut insert = |name: &str, shape: Shape, values: Vec<f64>| {
        let values: Vec<B::Element> = values.into_iter().map(B::Element::of).collect();
        variables.insert(backend, name, shape, &values)
    };
    let rows = 1 + optimiser.moments().len();
    let name = names::state(model.name());
    let mut state = model.initial_vector(seed);
    if averaged {
        insert(&names::average(&name), Shape::from([model.vector_len()]), state.clone())?;
    }
    state.resize(rows * model.vector_len(), 0.0);
    insert(&name, Shape::from([rows, model.vector_len()]), state)?;
    for slot in model.states() {
        let name = names::kept(model.name(), &slot.name);
        let values = model.initial_state(slot, seed);
        if averaged {
            insert(&names::average(&name), slot.shape(), values.clone())?;
        }
        insert(&name, slot.shape(), values)?;
    }
    Ok(())
}

/// Writes those of these numbers that the program reads.
fn write_rates<B: Backend>(program: &mut Program<B>, rates: &[(String, Vec<f64>)]) -> Result<()> {
    rates.iter().try_for_each(|(name, values)| {
        let values: Vec<B::Element> = values.iter().map(|x| B::Element::of(*x)).collect();
        write_if_read(program, name, &values)
    })
}

pub(crate) fn normal<E: Element>(n: usize, stream: &mut Stream) -> Vec<E> {
    (0..n).map(|_| E::of(stream.normal())).collect()
}
