//! The graph of a training step, and that of sampling.

use gannet_tensor::{Graph, Plan, PlanBuilder, Shape, Var};

use crate::config::GanConfig;
use crate::error::Result;
use crate::layer::{Mode, Pass, States};
use crate::losses::Loss;
use crate::model::{ALIGNMENT, Model};
use crate::optimisers::Optimiser;
use crate::parameters::Parameters;
use crate::penalties::{Penalty, wgan_gp, zero_centred};

/// Names of inputs and outputs of the programs.
pub(crate) mod names {
    pub(crate) const REAL: &str = "real";
    pub(crate) const LATENTS: &str = "latents";
    pub(crate) const LABELS: &str = "labels";
    pub(crate) const COUNTER: &str = "counter";
    /// How far between a generated image (0) and a real one (1) the gradient penalty looks.
    pub(crate) const MIX: &str = "mix";
    /// The discriminator's pass over real and generated images, for the names of its augmentation.
    pub(crate) const FIRST_PASS: &str = "discriminator";
    /// The discriminator's pass for the generator's loss.
    pub(crate) const SECOND_PASS: &str = "generator";
    pub(crate) const EMA_RATE: &str = "ema_rate";
    pub(crate) const LOSSES: &str = "losses";
    pub(crate) const SCORES: &str = "scores";
    pub(crate) const IMAGES: &str = "images";

    /// The numbers of an optimiser's update.
    pub(crate) fn scalars(model: &str) -> String {
        format!("{model}/scalars")
    }

    /// The numbers of the second update of a model in a step.
    pub(crate) fn second_scalars(model: &str) -> String {
        format!("{model}/second_scalars")
    }

    /// The variable with a model's parameters and moments.
    pub(crate) fn state(model: &str) -> String {
        format!("{model}/state")
    }

    /// The variable of a layer's state.
    pub(crate) fn kept(model: &str, slot: &str) -> String {
        format!("{model}/{slot}")
    }

    /// The variable of the average of another.
    pub(crate) fn average(name: &str) -> String {
        format!("ema/{name}")
    }
}

/// A model's variables in a graph.
pub(crate) struct Traced<'g> {
    state: Var<'g>,
    pub(crate) parameters: Parameters<'g>,
    pub(crate) states: States<'g>,
}

impl<'g> Traced<'g> {
    pub(crate) fn new(graph: &'g Graph, model: &Model, optimiser: &Optimiser) -> Traced<'g> {
        let rows = 1 + optimiser.moments().len();
        let state = graph.variable(&names::state(model.name()), [rows, model.vector_len()]);
        let parameters = model.views(first_row(state));
        let states = model
            .states()
            .iter()
            .map(|slot| {
                (slot.name.clone(), graph.variable(&names::kept(model.name(), &slot.name), slot.shape()))
            })
            .collect();
        Traced { state, parameters, states }
    }

    /// One update against `loss`. The parameters are the new ones afterwards.
    pub(crate) fn update(&mut self, model: &Model, training: &Training<'_>, loss: Var<'g>) -> Result<()> {
        self.update_by(model, training, loss, &names::scalars(model.name()))
    }

    /// [`update`](Traced::update) with the numbers of the given input.
    fn update_by(
        &mut self,
        model: &Model,
        training: &Training<'_>,
        loss: Var<'g>,
        scalars: &str,
    ) -> Result<()> {
        let graph = loss.graph();
        if model.trained_count() == 0 {
            return Ok(());
        }
        let gradients = model.gradients(loss, &self.parameters)?;
        let scalars = graph.input(scalars, [training.optimiser.scalar_count()]);
        self.state = graph.scoped(&format!("{}/optimiser", model.name()), || -> Result<Var<'g>> {
            let mut gradient = model.pack(&gradients)?;
            if let Some(limit) = training.clip_norm {
                gradient = clipped(gradient, limit);
            }
            let state = training.optimiser.update(self.state, gradient, scalars);
            let state = training.clip_weights.map_or(state, |limit| clamped_weights(state, limit));
            Ok(model.keep_frozen(self.state, state))
        })?;
        // To what comes next the new parameters are constants: nothing is differentiated through an update.
        self.parameters = model.views(first_row(self.state.stop_gradient()));
        Ok(())
    }
}

impl<'g> Traced<'g> {
    /// Assigns what has changed to the model's variables.
    pub(crate) fn assign(&self, model: &Model, mut plan: PlanBuilder<'g>) -> PlanBuilder<'g> {
        let graph = self.state.graph();
        let state = graph.variable(&names::state(model.name()), self.state.shape());
        if state != self.state {
            plan = plan.assign(state, self.state);
        }
        for slot in model.states() {
            let variable = graph.variable(&names::kept(model.name(), &slot.name), slot.shape());
            if variable != self.states[&slot.name] {
                plan = plan.assign(variable, self.states[&slot.name]);
            }
        }
        plan
    }
}

/// How a model is updated.
pub(crate) struct Training<'a> {
    pub(crate) optimiser: &'a Optimiser,
    pub(crate) clip_norm: Option<f64>,
    pub(crate) clip_weights: Option<f64>,
}

/// The gradient, made shorter where its norm exceeds `limit` (Pascanu et al. 2013).
fn clipped(gradient: Var<'_>, limit: f64) -> Var<'_> {
    let norm = gradient.square().sum(&[0]).sqrt();
    let floor = gradient.graph().fill([1], limit);
    gradient * (norm.maximum(floor).reciprocal() * limit)
}

/// An optimiser's state [rows, n] with its first row, the weights, cut to [-limit, limit] (Arjovsky et al. 2017).
fn clamped_weights(state: Var<'_>, limit: f64) -> Var<'_> {
    let rows = state.shape().dims()[0];
    Var::concat(&[state.slice(0, 0, 1).clamp(-limit, limit), state.slice(0, 1, rows)], 0)
}

/// The parameters in an optimiser's state [rows, n].
fn first_row(state: Var<'_>) -> Var<'_> {
    let n = state.shape().dims()[1];
    state.slice(0, 0, 1).reshape([n])
}

/// Which parts a training step has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Whether each of the configuration's penalties is computed.
    pub(crate) penalties: Vec<bool>,
    /// Whether the generator is updated.
    pub(crate) generator: bool,
}

impl Parts {
    /// The parts of step `step`, counted from 0.
    pub(crate) fn of(config: &GanConfig, step: u64) -> Parts {
        Parts {
            penalties: config.penalties.iter().map(|penalty| penalty.applies(step)).collect(),
            generator: step.is_multiple_of(config.discriminator_steps),
        }
    }
}

/// The discriminator in a graph, as the parts of a step see it.
struct Judge<'a, 'g> {
    config: &'a GanConfig,
    model: &'a Model,
    traced: Traced<'g>,
    labels: Option<Var<'g>>,
    counter: Option<Var<'g>>,
}

impl<'g> Judge<'_, 'g> {
    /// What the discriminator says of `images`, `groups` batches in one: scores [n, 1] and, with an auxiliary
    /// classifier, logits [n, classes].
    fn judge(&mut self, images: Var<'g>, groups: usize, index: u32) -> Result<Verdict<'g>> {
        let labels = self.labels.map(|labels| match groups {
            1 => labels,
            _ => Var::concat(&vec![labels; groups], 0),
        });
        let pass = Pass { mode: Mode::Training { groups }, labels, counter: self.counter, index };
        let y = self.model.trace(images, &self.traced.parameters, &mut self.traced.states, pass)?;
        let outputs = y.shape().dims()[1];
        let (loss, y) = self.config.loss.on(y);
        if self.config.auxiliary == 0.0 {
            return Ok(Verdict { loss, scores: y, classes: None });
        }
        Ok(Verdict { loss, scores: y.slice(1, 0, 1), classes: Some((y.slice(1, 1, outputs), labels)) })
    }

    /// The images as the discriminator sees them.
    fn augmented(&self, images: Var<'g>, pass: &str) -> Result<Var<'g>> {
        self.config.augment.map_or(Ok(images), |augment| augment.trace(images, pass))
    }

    /// One update against real and generated images in one batch. Returns the loss on each, and the scores
    /// [2 batch_size, 1] before it.
    fn update_on_both(
        &mut self,
        parts: &Parts,
        real: Var<'g>,
        fake: Var<'g>,
    ) -> Result<([Var<'g>; 2], Var<'g>)> {
        let (config, n) = (self.config, real.shape().dims()[0]);
        let both = self.augmented(Var::concat(&[real, fake], 0), names::FIRST_PASS)?;
        let verdict = self.judge(both, 2, 1)?;
        let [mut d_real, mut d_fake] =
            verdict.loss.discriminator(verdict.scores(0..n), verdict.scores(n..2 * n), config.real_target);
        if let (Some(real), Some(fake)) = (verdict.class_loss(0..n), verdict.class_loss(n..2 * n)) {
            d_real = d_real + real * config.auxiliary;
            d_fake = d_fake + fake * config.auxiliary;
        }
        let mut loss = d_real + d_fake;
        if let Some(penalty) = self.penalties(parts, both)? {
            loss = loss + penalty;
        }
        self.traced.update(self.model, &config.discriminator_training(), loss)?;
        Ok(([d_real, d_fake], verdict.scores))
    }

    /// An update against real images, and then another against generated ones. Returns the loss on each, and the
    /// scores [2 batch_size, 1] before it.
    fn updates_apart(&mut self, real: Var<'g>, fake: Var<'g>) -> Result<([Var<'g>; 2], Var<'g>)> {
        let (config, n) = (self.config, real.shape().dims()[0]);
        let both = self.augmented(Var::concat(&[real, fake], 0), names::FIRST_PASS)?;
        let name = self.model.name();
        let (mut losses, mut all) = ([both; 2], [both; 2]);
        for (i, scalars) in [names::scalars(name), names::second_scalars(name)].iter().enumerate() {
            let verdict = self.judge(both.slice(0, i * n, (i + 1) * n), 1, 1 + 5 * i as u32)?;
            // Each loss depends on one kind of images only.
            let scores = verdict.scores(0..n);
            let mut loss = verdict.loss.discriminator(scores, scores, config.real_target)[i];
            if let Some(class) = verdict.class_loss(0..n) {
                loss = loss + class * config.auxiliary;
            }
            self.traced.update_by(self.model, &config.discriminator_training(), loss, scalars)?;
            (losses[i], all[i]) = (loss, scores);
        }
        Ok((losses, Var::concat(&all, 0)))
    }

    /// The sum of the penalties that are computed in this step, if any. `both` are the real images and the generated
    /// ones as the discriminator saw them.
    fn penalties(&mut self, parts: &Parts, both: Var<'g>) -> Result<Option<Var<'g>>> {
        let n = both.shape().dims()[0] / 2;
        let [real, fake] = [both.slice(0, 0, n), both.slice(0, n, 2 * n)];
        let mut sum: Option<Var<'g>> = None;
        let applied = self.config.penalties.iter().zip(&parts.penalties).filter(|(_, applied)| **applied);
        for (penalty, _) in applied {
            let (images, index) = match penalty {
                Penalty::WganGp { .. } => {
                    let dims: Vec<usize> = both
                        .shape()
                        .dims()
                        .iter()
                        .enumerate()
                        .map(|(axis, _)| if axis == 0 { n } else { 1 })
                        .collect();
                    let mix = both.graph().input(names::MIX, Shape::new(&dims)?);
                    (fake + mix * (real - fake), 3)
                }
                Penalty::R1 { .. } => (real, 4),
                Penalty::R2 { .. } => (fake, 5),
            };
            // A pass of its own, without a mark on running statistics.
            let states = self.traced.states.clone();
            let verdict = self.judge(images, 1, index)?;
            self.traced.states = states;
            let value = match *penalty {
                Penalty::WganGp { weight, .. } => wgan_gp(verdict.scores, images)? * weight,
                Penalty::R1 { gamma, .. } | Penalty::R2 { gamma, .. } => {
                    zero_centred(verdict.scores, images)? * gamma
                }
            } * penalty.every() as f64;
            sum = Some(sum.map_or(value, |sum| sum + value));
        }
        Ok(sum)
    }
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
    parts: &Parts,
) -> Result<Plan> {
    let graph = &Graph::new();
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
    let pass = Pass { mode: Mode::Training { groups: 1 }, labels, counter, index: 0 };
    let states_before = g.states.clone();
    let fake = generator.trace(latents, &g.parameters, &mut g.states, pass)?;
    if !parts.generator {
        // Only an update of the generator moves its running statistics.
        g.states = states_before;
    }

    let ([d_real, d_fake], scores) = match config.separate_updates {
        true => d.updates_apart(real, fake)?,
        false => d.update_on_both(parts, real, fake)?,
    };

    let mut losses = vec![d_real, d_fake];
    if parts.generator {
        // A relativistic loss compares with real images, which the new discriminator then judges beside.
        let (verdict, fakes) = if config.loss.is_relativistic() {
            let both = d.augmented(Var::concat(&[real, fake], 0), names::SECOND_PASS)?;
            (d.judge(both, 2, 2)?, n..2 * n)
        } else {
            let fake = d.augmented(fake, names::SECOND_PASS)?;
            (d.judge(fake, 1, 2)?, 0..n)
        };
        let real_scores = config.loss.is_relativistic().then(|| verdict.scores(0..n));
        let mut g_loss = verdict.loss.generator(real_scores, verdict.scores(fakes.clone()))?;
        if let Some(class) = verdict.class_loss(fakes) {
            g_loss = g_loss + class * config.auxiliary;
        }
        g.update(generator, &config.generator_training(), g_loss)?;
        losses.push(g_loss);
    }

    let offsets: Vec<usize> = (0..losses.len()).map(|i| i * LOSS_STRIDE).collect();
    let losses = Var::pack(&losses, &offsets, losses_len(losses.len()));
    let mut plan = graph.plan().output(names::LOSSES, losses);
    plan = plan.output(names::SCORES, scores);
    plan = d.traced.assign(discriminator, g.assign(generator, plan));
    if config.ema.is_some() && parts.generator {
        let rate = graph.input(names::EMA_RATE, [1]);
        let weights = first_row(g.state);
        let average = graph.variable(&names::average(&names::state(generator.name())), weights.shape());
        plan = plan.assign(average, average.lerp(weights, rate));
        for slot in generator.states() {
            let name = names::average(&names::kept(generator.name(), &slot.name));
            let variable = graph.variable(&name, slot.shape());
            plan = plan.assign(variable, variable.lerp(g.states[&slot.name], rate));
        }
    }
    Ok(plan.build()?)
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
    let dims: Vec<usize> = std::iter::once(chunk).chain(generator.input().dims().iter().copied()).collect();
    let latents = graph.input(names::LATENTS, Shape::new(&dims)?);
    let labels = generator.classes().map(|_| graph.input(names::LABELS, [chunk]));
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
    let pass = Pass { labels, ..Pass::inference() };
    let images = generator.trace(latents, &generator.views(vector), &mut states, pass)?;
    Ok(graph.plan().output(names::IMAGES, images).build()?)
}
