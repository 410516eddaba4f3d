//! What has to hold in a configuration, by subject.

use gannet_tensor::Shape;

use super::gan_config::GanConfig;
use crate::clusters::MAX_CLUSTERS;
use crate::error::{Error, Result};
use crate::model::{Model, inputs_of};

/// The most numbers that a batch of images may have.
const MAX_BATCH: usize = 1 << 30;

/// The most images of a step.
const MAX_STEP: u64 = 1 << 22;

/// An error, and the keys under which its cause stands in a model file.
pub(super) struct Fault {
    pub(super) keys: &'static [&'static str],
    pub(super) error: Error,
}

/// A fault of the value under these keys.
fn at(keys: &'static [&'static str]) -> impl Fn(Error) -> Fault {
    move |error| Fault { keys, error }
}

/// A fault of the value under these keys, in words.
fn wrong<T>(keys: &'static [&'static str], message: impl Into<String>) -> Result<T, Fault> {
    Err(at(keys)(Error::invalid(message)))
}

/// What layers of both models take by one name is one input.
fn check_inputs(generator: &Model, discriminator: &Model) -> Result<(), Fault> {
    for (name, taken) in discriminator.inputs() {
        if let Some((_, other)) =
            generator.inputs().iter().find(|(other, shape)| other == name && shape != taken)
        {
            return wrong(
                &["discriminator", "layers"],
                format!(
                    "a layer takes the input '{name}' in the shape {taken}, but one of the generator takes it as {other}"
                ),
            );
        }
    }
    Ok(())
}

impl GanConfig {
    /// Builds both models. Errors when a number is impossible or anything does not fit together.
    pub fn build(&self) -> Result<(Model, Model)> {
        self.check().map_err(|fault| fault.error)
    }

    /// [`build`](GanConfig::build), with the keys of a model file under which an error's cause stands.
    pub(super) fn check(&self) -> Result<(Model, Model), Fault> {
        self.check_updates()?;
        self.check_loss()?;
        self.check_length()?;
        let generator = self.generator.build().map_err(at(&["generator", "layers"]))?;
        let discriminator = self.discriminator.build().map_err(at(&["discriminator", "layers"]))?;
        self.check_shapes(&generator, &discriminator)?;
        check_inputs(&generator, &discriminator)?;
        self.check_classes(&generator, &discriminator)?;
        self.check_batch(&generator, &discriminator)?;
        Ok((generator, discriminator))
    }

    /// Optimisers, the average, and what limits an update.
    fn check_updates(&self) -> Result<(), Fault> {
        for (optimiser, keys, context) in [
            (&self.generator_optimiser, &["generator", "optimiser"], "generator, optimiser"),
            (&self.discriminator_optimiser, &["discriminator", "optimiser"], "discriminator, optimiser"),
        ] {
            optimiser.check().map_err(|e| at(keys)(e.context(context)))?;
        }
        if let Some(ema) = self.ema {
            ema.check().map_err(at(&["ema"]))?;
        }
        for (keys, x) in [
            (&["generator", "clip_norm"], self.generator_clip_norm),
            (&["discriminator", "clip_norm"], self.discriminator_clip_norm),
            (&["discriminator", "clip_weights"], self.clip_weights),
        ] {
            if let Some(x) = x
                && !(x.is_finite() && x > 0.0)
            {
                return wrong(keys, format!("{} must be a positive number, got {x}", keys.join(", ")));
            }
        }
        Ok(())
    }

    /// The loss, with what is added to it and what it does not go with.
    fn check_loss(&self) -> Result<(), Fault> {
        if !(0.0..=1.0).contains(&self.real_target) {
            return wrong(
                &["real_target"],
                format!("real_target must lie in 0 to 1, got {}", self.real_target),
            );
        }
        if self.real_target != 1.0 && !self.loss.has_target() {
            return wrong(
                &["real_target"],
                "real_target smooths the labels of real images, but this loss has no labels",
            );
        }
        for penalty in &self.penalties {
            penalty.check().map_err(at(&["penalties"]))?;
        }
        if !(self.auxiliary.is_finite() && self.auxiliary >= 0.0) {
            return wrong(
                &["auxiliary"],
                format!("auxiliary must be a number of at least 0, got {}", self.auxiliary),
            );
        }
        if self.separate_updates && (self.loss.is_relativistic() || !self.penalties.is_empty()) {
            return wrong(
                &["separate_updates"],
                "separate_updates does not go with a relativistic loss or penalties: they need both kinds of images",
            );
        }
        Ok(())
    }

    /// The schedule, and the steps it goes over.
    fn check_length(&self) -> Result<(), Fault> {
        self.schedule.check().map_err(at(&["schedule"]))?;
        if self.discriminator_steps == 0 {
            return wrong(&["discriminator_steps"], "discriminator_steps must be at least 1, got 0");
        }
        if self.schedule.needs_length() && self.steps.is_none_or(|steps| steps == 0) {
            return wrong(
                &["steps"],
                "a learning rate that decays has to know the length of the run: set steps",
            );
        }
        Ok(())
    }

    /// What one model gives and the other takes, and what the discriminator ends in.
    fn check_shapes(&self, generator: &Model, discriminator: &Model) -> Result<(), Fault> {
        if generator.output() != discriminator.input() {
            let (made, taken) = (generator.output(), discriminator.input());
            return wrong(
                &["discriminator", "input"],
                format!("the generator makes images of shape {made}, the discriminator takes {taken}"),
            );
        }
        let outputs = match (self.auxiliary != 0.0, self.conditional(generator, discriminator)) {
            (false, _) => 1,
            (true, Some(classes)) => 1 + classes,
            (true, None) => {
                return wrong(
                    &["auxiliary"],
                    "an auxiliary classifier needs classes: give the generator a layer that is told them (label)",
                );
            }
        };
        if discriminator.output() != Shape::from([outputs]) {
            return wrong(
                &["discriminator", "layers"],
                format!(
                    "the discriminator must end in shape [{outputs}]{}, but its output has the shape {}",
                    if outputs > 1 { " (a score, and a logit for each class)" } else { ", one score" },
                    discriminator.output()
                ),
            );
        }
        Ok(())
    }

    /// Classes of both models, and the clusters among them.
    fn check_classes(&self, generator: &Model, discriminator: &Model) -> Result<(), Fault> {
        if let (Some(a), Some(b)) = (generator.classes(), discriminator.classes())
            && a != b
        {
            return wrong(
                &["discriminator", "layers"],
                format!("the generator has {a} classes, the discriminator {b}"),
            );
        }
        if !(1..=MAX_CLUSTERS).contains(&self.clusters) {
            return wrong(
                &["parts"],
                format!("clusters (parts) must lie in 1 to {MAX_CLUSTERS}, got {}", self.clusters),
            );
        }
        let told = generator.classes().unwrap_or(0);
        if self.clusters > 1 && (told == 0 || !told.is_multiple_of(self.clusters)) {
            return wrong(
                &["parts"],
                format!(
                    "{} clusters (parts) have to be told: the generator's classes must be a multiple of them, but it has {told}",
                    self.clusters
                ),
            );
        }
        let named = self.class_names.len();
        let classes = self.conditional(generator, discriminator).and_then(|told| self.classes_among(told));
        if named > 0 && classes != Some(named) {
            let has = classes.map_or("none".into(), |classes| classes.to_string());
            return wrong(
                &["class_names"],
                format!(
                    "class_names must name every class: it has {named} names, of classes the model has {has}"
                ),
            );
        }
        Ok(())
    }

    /// The batch, and what is done to its images.
    fn check_batch(&self, generator: &Model, discriminator: &Model) -> Result<(), Fault> {
        if self.batch_size == 0 {
            return wrong(&["batch_size"], "batch_size must be at least 1, got 0");
        }
        let further = inputs_of(generator, discriminator).into_iter().map(|(_, shape)| shape.len());
        let sample = further.fold(generator.output().len().max(generator.input().len()), usize::max);
        if self.batch_size.saturating_mul(sample) > MAX_BATCH {
            return wrong(
                &["batch_size"],
                format!(
                    "a batch of {} samples of {sample} numbers is too large: at most {MAX_BATCH} numbers",
                    self.batch_size
                ),
            );
        }
        if self.accumulate == 0 {
            return wrong(
                &["accumulate"],
                "accumulate, the micro-batches of a step, must be at least 1, got 0",
            );
        }
        if self.accumulate > 1 && self.accumulate.saturating_mul(self.batch_size as u64) > MAX_STEP {
            return wrong(
                &["accumulate"],
                format!(
                    "a step of {} micro-batches of {} images is too large: at most {MAX_STEP} images",
                    self.accumulate, self.batch_size
                ),
            );
        }
        if let Some(augment) = self.augment {
            augment.check(discriminator.input(), 2 * self.batch_size).map_err(at(&["augment"]))?;
        }
        Ok(())
    }
}
