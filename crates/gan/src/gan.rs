//! A GAN on a device: training, sampling, its weights by name.

use std::borrow::Cow;

use gannet_tensor::{Backend, Element, Plan, Program, Shape, Variables};

use crate::clusters::Bounds;
use crate::config::GanConfig;
use crate::error::{Error, Result};
use crate::loss_queue::{Expected, LATE_LOSSES, LossQueue, Losses, StepLosses};
use crate::model::Model;
use crate::names;
use crate::optimisers::Optimiser;
use crate::passes::{Augmentation, StepKind};
use crate::random::Stream;
use crate::slots::{self, Slot};
use crate::step::{self, LOSS_STRIDE, losses_len, second_moments};

/// Images made at a time.
const CHUNK: usize = 64;

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
    variables: Variables<B>,
    slots: Vec<Slot>,
    step: u64,
    /// A program for each kind of step: with and without lazy penalties, with and without the generator.
    training: Vec<(StepKind, Program<B>)>,
    losses: LossQueue,
    sampling: Option<Program<B>>,
    /// Where the last number of a latent passes from one cluster to the next.
    bounds: Bounds,
    gauges: Option<Program<B>>,
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
        let slots = slots::slots(&config, &generator, &discriminator);
        Ok(Gan {
            bounds: Bounds::new(config.clusters),
            backend: backend.clone(),
            config,
            generator,
            discriminator,
            variables,
            slots,
            step: 0,
            training: Vec::new(),
            losses: LossQueue::default(),
            sampling: None,
            gauges: None,
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

    /// The training steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Prepares the next training step, which that step otherwise does, and gives its plan (to print, or to count
    /// its operations).
    pub fn prepare(&mut self) -> Result<&Plan> {
        let kind = StepKind::of(&self.config, self.step);
        Ok(self.training_program(&kind)?.plan())
    }

    /// The device's own form of the next training step, for what only that device can say of it (a profile).
    pub fn executable(&mut self) -> Result<&mut B::Executable> {
        let kind = StepKind::of(&self.config, self.step);
        Ok(self.training_program(&kind)?.executable())
    }

    /// Latents for `n` images, [n, z]: independent and standard normal, from a stream that `seed` fixes. The first
    /// of them do not depend on `n`.
    pub fn latents(&self, n: usize, seed: u64) -> Vec<B::Element> {
        normal(n * self.generator.input().len(), &mut Stream::new(seed, "latents", u64::MAX))
    }

    /// One training step on a batch of real images [batch_size, H, W, C] in [-1, 1] (row-major) and, for a
    /// conditional model, their classes `[batch_size]`, which the generated images are asked for too; of a model with
    /// clusters, the labels that [`partition`](crate::partition) gives. Latents come from the configuration's seed and the
    /// number of the step.
    ///
    /// Errors when the batch does not fit, or when a loss is no longer a finite number.
    pub fn train_on_batch(&mut self, real: &[B::Element], labels: Option<&[u32]>) -> Result<Losses> {
        self.train_step(real, labels)?;
        self.losses()
    }

    /// [`train_on_batch`](Gan::train_on_batch) with latents [batch_size, z] of the caller's.
    pub fn train_on_batch_with(
        &mut self,
        real: &[B::Element],
        latents: &[B::Element],
        labels: Option<&[u32]>,
    ) -> Result<Losses> {
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
    pub fn train_step(&mut self, real: &[B::Element], labels: Option<&[u32]>) -> Result<()> {
        let n = self.config.batch_size * self.generator.input().len();
        let latents = normal(n, &mut Stream::new(self.config.seed, "latents", self.step));
        self.train_step_with(real, &latents, labels)
    }

    /// [`train_step`](Gan::train_step) with latents [batch_size, z] of the caller's. Of a model with clusters, the
    /// last number of each is drawn anew: it says which cluster an image is of.
    pub fn train_step_with(
        &mut self,
        real: &[B::Element],
        latents: &[B::Element],
        labels: Option<&[u32]>,
    ) -> Result<()> {
        let labels = self.label_values(labels, self.training_labels(), self.config.batch_size)?;
        let latents = self.latents_in_clusters(latents, &labels);
        let step = self.step;
        let kind = StepKind::of(&self.config, step);
        let factor = self.config.schedule.factor(step, self.config.steps.unwrap_or(0));
        let (batch, seed, image) = (self.config.batch_size, self.config.seed, self.image_shape());
        let generator_step = step / self.config.discriminator_steps;
        let (g, d) = (self.generator.name(), self.discriminator.name());
        let rule = &self.config.discriminator_optimiser;
        // Updates are counted from 1.
        let first = if self.config.separate_updates { 2 * step + 1 } else { step + 1 };
        let scalars = [
            (names::scalars(g), self.config.generator_optimiser.scalars(generator_step + 1, factor)),
            (names::scalars(d), rule.scalars(first, factor)),
            (names::second_scalars(d), rule.scalars(first + 1, factor)),
        ];
        let ema = self.config.ema;
        let draws = self.config.augment.map(|augment| {
            let draw = |of: Augmentation| {
                let mut stream = Stream::new(seed, of.name(), step);
                (of, augment.draw(image, of.images(&self.config), &mut stream))
            };
            Augmentation::of(&kind).map(draw).collect::<Vec<_>>()
        });
        let position = self.program_of(&kind)?;
        let program = &mut self.training[position].1;
        let of = |values: Vec<f64>| values.into_iter().map(B::Element::of).collect::<Vec<_>>();
        program.write(names::REAL, real)?;
        program.write(names::LATENTS, &latents)?;
        write_if_read(program, names::LABELS, &labels)?;
        // A whole number that f32 holds exactly.
        write_if_read(program, names::COUNTER, &[B::Element::of((step % (1 << 24)) as f64)])?;
        for (name, scalars) in scalars {
            write_if_read(program, &name, &of(scalars))?;
        }
        if let Some(ema) = ema {
            write_if_read(program, names::EMA_RATE, &[B::Element::of(ema.rate(generator_step))])?;
        }
        if program.has_input(names::MIX) {
            let mut stream = Stream::new(seed, names::MIX, step);
            program.write(names::MIX, &of((0..batch).map(|_| stream.uniform(0.0, 1.0)).collect()))?;
        }
        for (of, draws) in draws.into_iter().flatten() {
            draws.write(program, of.name())?;
        }
        program.request(names::LOSSES)?;
        program.run()?;
        self.step += 1;
        self.losses.expect(Expected { step: self.step, program: position, generator: kind.generator });
        self.receive(LATE_LOSSES)
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
            if !self.training[program].1.collect(names::LOSSES, wait, &mut values[..losses_len(count)])? {
                return Ok(());
            }
            let losses = [0, 1, 2].map(|i| values[i * LOSS_STRIDE].to_f64());
            self.losses.arrive(&losses[..count]);
        }
        Ok(())
    }

    /// Images [n, H, W, C] in the generator's range, from latents [n, z] and, for a conditional generator, the class
    /// of each. Of a model with clusters, the last number of a latent decides the cluster. Running statistics take the place of the batch's; weights and statistics are those of the average
    /// where there is one.
    pub fn generate(&mut self, latents: &[B::Element], labels: Option<&[u32]>) -> Result<Vec<B::Element>> {
        let (z, pixels) = (self.generator.input().len(), self.generator.output().len());
        if !latents.len().is_multiple_of(z) {
            return Err(Error::invalid(format!(
                "expected latents of {z} numbers each, got {} in all",
                latents.len()
            )));
        }
        let n = latents.len() / z;
        let labels = self.labels_of(latents, labels)?;
        if self.sampling.is_none() {
            let plan = step::sampling(&self.config, &self.generator, CHUNK)?;
            self.sampling = Some(Program::new(&self.backend, plan, &self.variables)?);
        }
        let Some(program) = &mut self.sampling else { unreachable!("made above") };
        let mut images = Vec::with_capacity(n * pixels);
        let mut chunk_latents = vec![B::Element::ZERO; CHUNK * z];
        let mut chunk_labels = vec![B::Element::ZERO; CHUNK];
        let mut chunk_images = vec![B::Element::ZERO; CHUNK * pixels];
        for start in (0..n).step_by(CHUNK) {
            let count = CHUNK.min(n - start);
            chunk_latents[..count * z].copy_from_slice(&latents[start * z..(start + count) * z]);
            program.write(names::LATENTS, &chunk_latents)?;
            if !labels.is_empty() {
                chunk_labels[..count].copy_from_slice(&labels[start..start + count]);
                program.write(names::LABELS, &chunk_labels)?;
            }
            program.run()?;
            program.read_into(names::IMAGES, &mut chunk_images)?;
            images.extend_from_slice(&chunk_images[..count * pixels]);
        }
        Ok(images)
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

    /// What the discriminator said of the images of step `step` (from 0), if that was the last: [2 batch_size, 1], the
    /// real ones first.
    pub(crate) fn scores_of(&mut self, step: u64) -> Result<Vec<B::Element>> {
        let kind = StepKind::of(&self.config, step);
        Ok(self.training_program(&kind)?.read(names::SCORES)?)
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

    fn training_program(&mut self, kind: &StepKind) -> Result<&mut Program<B>> {
        let position = self.program_of(kind)?;
        Ok(&mut self.training[position].1)
    }

    /// The position of the program for steps of this kind, which is made if there is none yet.
    fn program_of(&mut self, kind: &StepKind) -> Result<usize> {
        if let Some(position) = self.training.iter().position(|(known, _)| known == kind) {
            return Ok(position);
        }
        let plan = step::training(&self.config, &self.generator, &self.discriminator, kind)?;
        self.training.push((kind.clone(), Program::new(&self.backend, plan, &self.variables)?));
        Ok(self.training.len() - 1)
    }

    /// Latents [n, z] whose last numbers name the clusters of these labels `[n]`: what [`generate`](Gan::generate) will read
    /// from them.
    fn latents_in_clusters<'a>(
        &self,
        latents: &'a [B::Element],
        labels: &[B::Element],
    ) -> Cow<'a, [B::Element]> {
        let (clusters, z) = (self.config.clusters, self.generator.input().len());
        if clusters == 1 || z == 0 {
            return Cow::Borrowed(latents);
        }
        let mut latents = latents.to_vec();
        // The stream's name is that of the first runs.
        let mut stream = Stream::new(self.config.seed, "parts", self.step);
        for (latent, label) in latents.chunks_exact_mut(z).zip(labels) {
            let cluster = label.to_f64() as usize % clusters;
            let x = self.bounds.draw(cluster, &mut stream, |x| B::Element::of(x).to_f64());
            latent[z - 1] = B::Element::of(x);
        }
        Cow::Owned(latents)
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

/// Writes an input if the program reads it at all: what no layer needs is not part of a plan.
pub(crate) fn write_if_read<B: Backend>(
    program: &mut Program<B>,
    name: &str,
    values: &[B::Element],
) -> Result<()> {
    if program.has_input(name) {
        program.write(name, values)?;
    }
    Ok(())
}

pub(crate) fn normal<E: Element>(n: usize, stream: &mut Stream) -> Vec<E> {
    (0..n).map(|_| E::of(stream.normal())).collect()
}
