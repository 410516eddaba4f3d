//! The graph of a training step, and that of sampling.

use gannet_tensor::{Graph, Plan, PlanBuilder, Shape, Var};

use crate::config::GanConfig;
use crate::error::{Error, Result};
use crate::layer::{Blend, Mode, Pass, States};
use crate::losses::{Loss, Terms};
use crate::model::{ALIGNMENT, Model};
use crate::names;
use crate::optimisers::{Optimiser, SecondMoment};
use crate::passes::{Augmentation, Origin, StepKind, StepPass};
use crate::penalties::Points;
use crate::samples::samples;
use crate::update::{Traced, first_row};

/// The discriminator in the graph of a training step.
struct Judge<'a, 'g> {
    config: &'a GanConfig,
    model: &'a Model,
    traced: Traced<'g>,
    labels: Option<Var<'g>>,
    counter: Option<Var<'g>>,
}

/// The discriminator's losses on real and on generated images, and its scores [2 batch_size, 1] of both before its update.
struct Judged<'g> {
    losses: [Var<'g>; 2],
    scores: Var<'g>,
}

impl<'g> Judge<'_, 'g> {
    /// What the discriminator says of `images`, `groups` batches in one: scores [n, 1] and, with an auxiliary
    /// classifier, logits [n, classes].
    fn judge(&mut self, images: Var<'g>, groups: usize, pass: StepPass) -> Result<Verdict<'g>> {
        let labels = self.labels.map(|labels| match groups {
            1 => labels,
            _ => Var::concat(&vec![labels; groups], 0),
        });
        let pass = Pass {
            mode: Mode::Training { groups },
            labels,
            blend: None,
            counter: self.counter,
            index: pass.noise(),
        };
        let y = self.model.trace(images, &self.traced.parameters, &mut self.traced.states, pass)?;
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

    /// One update against real and generated images in one batch.
    fn update_on_both(&mut self, kind: &StepKind, real: Var<'g>, fake: Var<'g>) -> Result<Judged<'g>> {
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
        if let Some(penalty) = self.penalties(kind, both)? {
            loss = loss + penalty;
        }
        self.traced.update(self.model, &config.discriminator_training(), loss)?;
        Ok(Judged { losses: [d_real, d_fake], scores: verdict.scores })
    }

    /// An update against real images, and then another against generated ones.
    fn updates_apart(&mut self, real: Var<'g>, fake: Var<'g>) -> Result<Judged<'g>> {
        let n = real.shape().dims()[0];
        let both = self.augmented(Var::concat(&[real, fake], 0), Augmentation::Discriminator)?;
        let (d_real, real_scores) = self.update_on(Origin::Real, both.slice(0, 0, n))?;
        let (d_fake, fake_scores) = self.update_on(Origin::Generated, both.slice(0, n, 2 * n))?;
        Ok(Judged { losses: [d_real, d_fake], scores: Var::concat(&[real_scores, fake_scores], 0) })
    }

    /// One update against images [n, ..] of one origin. Returns the loss, and the scores [n, 1] before it.
    fn update_on(&mut self, origin: Origin, images: Var<'g>) -> Result<(Var<'g>, Var<'g>)> {
        let (config, n) = (self.config, images.shape().dims()[0]);
        let verdict = self.judge(images, 1, StepPass::Apart(origin))?;
        let scores = verdict.scores(0..n);
        let Terms::Pointwise(terms) = verdict.loss.terms() else {
            return Err(Error::invalid("a relativistic loss reads both kinds of images in each update"));
        };
        let (loss, scalars) = match origin {
            Origin::Real => (terms.real(scores, config.real_target), names::scalars(self.model.name())),
            Origin::Generated => (terms.fake(scores), names::second_scalars(self.model.name())),
        };
        let mut loss = scalar(config, loss)?;
        if let Some(class) = verdict.class_loss(0..n) {
            loss = loss + class * config.auxiliary;
        }
        self.traced.update_by(self.model, &config.discriminator_training(), loss, &scalars)?;
        Ok((loss, scores))
    }

    /// The sum of the penalties that are computed in this step, if any. `both` are the real images and the generated
    /// ones as the discriminator saw them.
    fn penalties(&mut self, kind: &StepKind, both: Var<'g>) -> Result<Option<Var<'g>>> {
        let n = both.shape().dims()[0] / 2;
        let [real, fake] = [both.slice(0, 0, n), both.slice(0, n, 2 * n)];
        let mut sum: Option<Var<'g>> = None;
        let applied = self.config.penalties.iter().zip(&kind.penalties).filter(|(_, applied)| **applied);
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
    fn generator_loss(&mut self, real: Var<'g>, fake: Var<'g>) -> Result<Var<'g>> {
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

/// One training step: the discriminator on real and generated images in one batch, its update, the generator
/// against the new discriminator, its update, the average.
///
/// Every pass is in training mode. The discriminator's running statistics move three times: for the real images,
/// for the generated ones, and in the generator's pass.
pub(crate) fn training(
    config: &GanConfig,
    generator: &Model,
    discriminator: &Model,
    kind: &StepKind,
) -> Result<Plan> {
    Ok(trace(&Graph::new(), config, generator, discriminator, kind)?.build()?)
}

/// Errors when a training step cannot be traced: what the loss or an optimiser of one's own gives may not fit.
pub(crate) fn check(config: &GanConfig, generator: &Model, discriminator: &Model) -> Result<()> {
    trace(&Graph::new(), config, generator, discriminator, &StepKind::of(config, 0)).map(drop)
}

/// The graph of [`training`].
fn trace<'g>(
    graph: &'g Graph,
    config: &GanConfig,
    generator: &Model,
    discriminator: &Model,
    kind: &StepKind,
) -> Result<PlanBuilder<'g>> {
    let n = config.batch_size;
    let batch = |model: &Model| {
        let dims: Vec<usize> = std::iter::once(n).chain(model.input().dims().iter().copied()).collect();
        Shape::new(&dims)
    };
    let real = graph.input(names::REAL, batch(discriminator)?);
    let latents = graph.input(names::LATENTS, batch(generator)?);
    let labels = config.conditional(generator, discriminator).map(|_| graph.input(names::LABELS, [n]));
    let counter = Some(graph.input(names::COUNTER, [1]));

    let mut g = Traced::new(graph, generator, &config.generator_optimiser);
    let traced = Traced::new(graph, discriminator, &config.discriminator_optimiser);
    let mut d = Judge { config, model: discriminator, traced, labels, counter };
    let index = StepPass::Generator.noise();
    let pass = Pass { labels, counter, index, ..Pass::training() };
    let states_before = g.states.clone();
    let fake = generator.trace(latents, &g.parameters, &mut g.states, pass)?;
    if !kind.generator {
        // Only an update of the generator moves its running statistics.
        g.states = states_before;
    }

    let Judged { losses: [d_real, d_fake], scores } = match config.separate_updates {
        true => d.updates_apart(real, fake)?,
        false => d.update_on_both(kind, real, fake)?,
    };

    let mut losses = vec![d_real, d_fake];
    if kind.generator {
        let loss = d.generator_loss(real, fake)?;
        g.update(generator, &config.generator_training(), loss)?;
        losses.push(loss);
    }

    let offsets: Vec<usize> = (0..losses.len()).map(|i| i * LOSS_STRIDE).collect();
    let losses = Var::pack(&losses, &offsets, losses_len(losses.len()));
    let mut plan = graph.plan().output(names::LOSSES, losses);
    plan = plan.output(names::SCORES, scores);
    plan = d.traced.assign(discriminator, g.assign(generator, plan));
    if config.ema.is_some() && kind.generator {
        let rate = graph.input(names::EMA_RATE, [1]);
        let weights = g.weights();
        let average = graph.variable(&names::average(&names::state(generator.name())), weights.shape());
        plan = plan.assign(average, average.lerp(weights, rate));
        for slot in generator.states() {
            let name = names::average(&names::kept(generator.name(), &slot.name));
            let variable = graph.variable(&name, slot.shape());
            plan = plan.assign(variable, variable.lerp(g.states[&slot.name], rate));
        }
    }
    Ok(plan)
}

/// From one loss to the next in [`names::LOSSES`]: each lies where a device can bind it, so that none is copied there.
pub(crate) const LOSS_STRIDE: usize = ALIGNMENT;

/// Numbers of [`names::LOSSES`] when there are `count` losses.
pub(crate) const fn losses_len(count: usize) -> usize {
    (count - 1) * LOSS_STRIDE + 1
}

/// Images from `chunk` latents, in inference mode: of the average where there is one.
pub(crate) fn sampling(config: &GanConfig, generator: &Model, chunk: usize) -> Result<Plan> {
    let graph = &Graph::new();
    let latents = graph.input(names::LATENTS, samples(chunk, generator.input())?);
    let labels = generator.classes().map(|_| graph.input(names::LABELS, [chunk]));
    let images = drawn(config, generator, latents, Pass { labels, ..Pass::inference() })?;
    Ok(graph.plan().output(names::IMAGES, images).build()?)
}

/// Images from `chunk` latents on ways from classes to others, as those of [`sampling`].
pub(crate) fn between(config: &GanConfig, generator: &Model, chunk: usize) -> Result<Plan> {
    let graph = &Graph::new();
    let latents = graph.input(names::LATENTS, samples(chunk, generator.input())?);
    let [labels, others, share] =
        [names::LABELS, names::OTHER_LABELS, names::SHARE].map(|name| graph.input(name, [chunk]));
    let blend = Some(Blend { labels: others, share });
    let pass = Pass { labels: Some(labels), blend, ..Pass::inference() };
    let images = drawn(config, generator, latents, pass)?;
    Ok(graph.plan().output(names::IMAGES, images).build()?)
}

/// The images of latents [n, z] in an inference pass: of the average where there is one.
pub(crate) fn drawn<'g>(
    config: &GanConfig,
    generator: &Model,
    latents: Var<'g>,
    pass: Pass<'g>,
) -> Result<Var<'g>> {
    let graph = latents.graph();
    let state = names::state(generator.name());
    let named = |name: String| if config.ema.is_some() { names::average(&name) } else { name };
    let vector = match config.ema {
        Some(_) => graph.variable(&named(state), [generator.vector_len()]),
        None => {
            let rows = 1 + config.generator_optimiser.moments().len();
            first_row(graph.variable(&state, [rows, generator.vector_len()]))
        }
    };
    let mut states: States<'_> = generator
        .states()
        .iter()
        .map(|slot| {
            let name = named(names::kept(generator.name(), &slot.name));
            (slot.name.clone(), graph.variable(&name, slot.shape()))
        })
        .collect();
    generator.trace(latents, &generator.views(vector), &mut states, pass)
}

/// The sum of each model's second moments, in the order of `models`; none where the optimiser keeps none.
pub(crate) fn second_moments(models: [(&Model, &Optimiser); 2]) -> Result<Plan> {
    let graph = &Graph::new();
    let mut plan = graph.plan();
    for (model, optimiser) in models {
        if let Some(SecondMoment { moment, .. }) = optimiser.second_moment() {
            let rows = 1 + optimiser.moments().len();
            let state = graph.variable(&names::state(model.name()), [rows, model.vector_len()]);
            plan = plan.output(model.name(), state.slice(0, 1 + moment, 2 + moment).sum_all());
        }
    }
    Ok(plan.build()?)
}
