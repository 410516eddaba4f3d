//! The discriminator in the graph of a training step: what it says of images, and the losses of both models.

use gannet_tensor::{Shape, Var};

use crate::config::GanConfig;
use crate::error::{Error, Result};
use crate::layer::{Inputs, Mode, Pass};
use crate::losses::{Loss, Terms};
use crate::model::Model;
use crate::names;
use crate::passes::{Augmentation, Origin, StepPass};
use crate::penalties::Points;
use crate::update::Traced;

/// The discriminator in the graph of a training step.
pub(crate) struct Judge<'a, 'g> {
    pub(crate) config: &'a GanConfig,
    pub(crate) model: &'a Model,
    pub(crate) traced: Traced<'g>,
    pub(crate) labels: Option<Var<'g>>,
    /// What layers of either model take beside images and latents.
    pub(crate) inputs: Inputs<'g>,
    pub(crate) counter: Option<Var<'g>>,
}

/// What the discriminator minimises.
pub(crate) struct Judged<'g> {
    /// The whole, a scalar.
    pub(crate) loss: Var<'g>,
    /// Its losses on real and on generated images, as they are told; one of them where images of one origin are judged.
    pub(crate) told: Vec<Var<'g>>,
    /// Its scores [n, 1] of the images.
    pub(crate) scores: Var<'g>,
}

impl<'g> Judge<'_, 'g> {
    /// What the discriminator says of `images`, `groups` batches in one: scores [n, 1] and, with an auxiliary
    /// classifier, logits [n, classes].
    fn judge(&mut self, images: Var<'g>, groups: usize, pass: StepPass) -> Result<Verdict<'g>> {
        // Real and generated images are told the same.
        let of_all = |told: Var<'g>| match groups {
            1 => told,
            _ => Var::concat(&vec![told; groups], 0),
        };
        let labels = self.labels.map(of_all);
        let inputs: Inputs<'g> =
            self.inputs.iter().map(|(name, input)| (name.clone(), of_all(*input))).collect();
        let pass = Pass {
            mode: Mode::Training { groups },
            labels,
            blend: None,
            counter: self.counter,
            index: pass.noise(),
        };
        let Traced { parameters, states, .. } = &mut self.traced;
        let y = self.model.trace_with(images, &inputs, parameters, states, pass)?;
        let outputs = y.shape().dims()[1];
        let (loss, y) = self.config.loss.on(y);
        if self.config.auxiliary == 0.0 {
            return Ok(Verdict { loss, scores: y, classes: None });
        }
        Ok(Verdict { loss, scores: y.slice(1, 0, 1), classes: Some((y.slice(1, 1, outputs), labels)) })
    }

    /// The images as the discriminator sees them.
    fn augmented(&self, images: Var<'g>, augmentation: Augmentation) -> Result<Var<'g>> {
        self.config.augment.map_or(Ok(images), |augment| augment.trace(images, augmentation.name()))
    }

    /// The loss against real and generated images in one batch, with those of the configuration's penalties that are
    /// `applied`. Scores are [2 batch_size, 1], the real images' first.
    pub(crate) fn on_both(&mut self, applied: &[bool], real: Var<'g>, fake: Var<'g>) -> Result<Judged<'g>> {
        let (config, n) = (self.config, real.shape().dims()[0]);
        let both = self.augmented(Var::concat(&[real, fake], 0), Augmentation::Discriminator)?;
        let verdict = self.judge(both, 2, StepPass::Both)?;
        let [d_real, d_fake] =
            verdict.loss.discriminator(verdict.scores(0..n), verdict.scores(n..2 * n), config.real_target);
        let (mut d_real, mut d_fake) = (scalar(config, d_real)?, scalar(config, d_fake)?);
        if let (Some(real), Some(fake)) = (verdict.class_loss(0..n), verdict.class_loss(n..2 * n)) {
            d_real = d_real + real * config.auxiliary;
            d_fake = d_fake + fake * config.auxiliary;
        }
        let mut loss = d_real + d_fake;
        if let Some(penalty) = self.penalties(applied, both)? {
            loss = loss + penalty;
        }
        Ok(Judged { loss, told: vec![d_real, d_fake], scores: verdict.scores })
    }

    /// Real and generated images as the discriminator sees them for its updates on each by themselves.
    pub(crate) fn seen_apart(&self, real: Var<'g>, fake: Var<'g>) -> Result<[Var<'g>; 2]> {
        let n = real.shape().dims()[0];
        let both = self.augmented(Var::concat(&[real, fake], 0), Augmentation::Discriminator)?;
        Ok([both.slice(0, 0, n), both.slice(0, n, 2 * n)])
    }

    /// The loss against images [n, ..] of one origin.
    pub(crate) fn on(&mut self, origin: Origin, images: Var<'g>) -> Result<Judged<'g>> {
        let (config, n) = (self.config, images.shape().dims()[0]);
        let verdict = self.judge(images, 1, StepPass::Apart(origin))?;
        let scores = verdict.scores(0..n);
        let Terms::Pointwise(terms) = verdict.loss.terms() else {
            return Err(Error::invalid("a relativistic loss reads both kinds of images in each update"));
        };
        let loss = match origin {
            Origin::Real => terms.real(scores, config.real_target),
            Origin::Generated => terms.fake(scores),
        };
        let mut loss = scalar(config, loss)?;
        if let Some(class) = verdict.class_loss(0..n) {
            loss = loss + class * config.auxiliary;
        }
        Ok(Judged { loss, told: vec![loss], scores })
    }

    /// The sum of the penalties that are `applied` in this step, if any. `both` are the real images and the generated ones as
    /// the discriminator saw them.
    fn penalties(&mut self, applied: &[bool], both: Var<'g>) -> Result<Option<Var<'g>>> {
        let n = both.shape().dims()[0] / 2;
        let [real, fake] = [both.slice(0, 0, n), both.slice(0, n, 2 * n)];
        let mut sum: Option<Var<'g>> = None;
        let applied = self.config.penalties.iter().zip(applied).filter(|(_, applied)| **applied);
        for (penalty, _) in applied {
            let (images, pass) = match penalty.points() {
                Points::Between => {
                    let mut dims = vec![1; both.shape().rank()];
                    dims[0] = n;
                    let mix = both.graph().input(names::MIX, Shape::new(&dims)?);
                    (fake + mix * (real - fake), StepPass::PenaltyBetween)
                }
                Points::Real => (real, StepPass::PenaltyAt(Origin::Real)),
                Points::Generated => (fake, StepPass::PenaltyAt(Origin::Generated)),
            };
            // A pass of its own, without a mark on running statistics.
            let states = self.traced.states.clone();
            let verdict = self.judge(images, 1, pass)?;
            self.traced.states = states;
            let value = penalty.trace(verdict.scores, images)?;
            sum = Some(sum.map_or(value, |sum| sum + value));
        }
        Ok(sum)
    }

    /// The generator's loss on its images `fake`. A relativistic loss compares with real images, which are then judged
    /// beside.
    pub(crate) fn generator_loss(&mut self, real: Var<'g>, fake: Var<'g>) -> Result<Var<'g>> {
        let (config, n) = (self.config, fake.shape().dims()[0]);
        let paired = config.loss.is_relativistic();
        let (images, groups) = if paired { (Var::concat(&[real, fake], 0), 2) } else { (fake, 1) };
        let images = self.augmented(images, Augmentation::Generator)?;
        let verdict = self.judge(images, groups, StepPass::Judging)?;
        let fakes = (groups - 1) * n..groups * n;
        let real_scores = paired.then(|| verdict.scores(0..n));
        let loss = verdict.loss.generator(real_scores, verdict.scores(fakes.clone()))?;
        let loss = scalar(config, loss)?;
        Ok(verdict.class_loss(fakes).map_or(loss, |class| loss + class * config.auxiliary))
    }
}

/// A loss as one number. Errors when it is not.
fn scalar<'g>(config: &GanConfig, loss: Var<'g>) -> Result<Var<'g>> {
    if loss.shape().len() == 1 {
        return Ok(if loss.shape().rank() == 0 { loss } else { loss.reshape(Shape::SCALAR) });
    }
    Err(Error::invalid(format!(
        "the loss {:?} has the shape {}, expected one number: its mean over the batch",
        config.loss,
        loss.shape()
    )))
}

/// What a discriminator says of a batch.
struct Verdict<'g> {
    /// The loss that takes these scores.
    loss: Loss,
    /// How real each image looks [n, 1].
    scores: Var<'g>,
    /// Logits of the classes [n, classes] of an auxiliary classifier, and the true classes `[n]`.
    classes: Option<(Var<'g>, Option<Var<'g>>)>,
}

impl<'g> Verdict<'g> {
    /// The scores of the images `range`.
    fn scores(&self, range: std::ops::Range<usize>) -> Var<'g> {
        self.scores.slice(0, range.start, range.end)
    }

    /// The mean cross-entropy of the classes of the images `range`.
    fn class_loss(&self, range: std::ops::Range<usize>) -> Option<Var<'g>> {
        let (logits, Some(labels)) = self.classes? else { return None };
        let (logits, labels) =
            (logits.slice(0, range.start, range.end), labels.slice(0, range.start, range.end));
        Some(logits.softmax_cross_entropy(labels).mean_all())
    }
}
