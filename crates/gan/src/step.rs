//! The graph of a training step, and that of sampling.

use gannet_tensor::{Graph, Plan, PlanBuilder, Var};

use crate::config::GanConfig;
use crate::error::Result;
use crate::judge::{Judge, Judged};
use crate::layer::{Blend, Inputs, Pass, States};
use crate::model::{ALIGNMENT, Model, inputs_of};
use crate::names;
use crate::optimisers::{Optimiser, SecondMoment};
use crate::passes::{Origin, StepKind, StepPass};
use crate::samples::{inputs, samples};
use crate::update::{Traced, first_row};

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
    let Players { real, latents, mut g, mut d } = Players::new(graph, config, generator, discriminator)?;
    let states_before = g.states.clone();
    let fake = generated(generator, latents, &mut g, &d)?;
    if !kind.generator {
        // Only an update of the generator moves its running statistics.
        g.states = states_before;
    }

    let training = config.discriminator_training();
    let (mut losses, scores) = match config.separate_updates {
        true => {
            let [real, fake] = d.seen_apart(real, fake)?;
            let of_real = d.on(Origin::Real, real)?;
            d.traced.update(discriminator, &training, of_real.loss)?;
            let of_fake = d.on(Origin::Generated, fake)?;
            let scalars = names::second_scalars(discriminator.name());
            d.traced.update_by(discriminator, &training, of_fake.loss, &scalars)?;
            let scores = Var::concat(&[of_real.scores, of_fake.scores], 0);
            ([of_real.told, of_fake.told].concat(), scores)
        }
        false => {
            let Judged { loss, told, scores } = d.on_both(&kind.penalties, real, fake)?;
            d.traced.update(discriminator, &training, loss)?;
            (told, scores)
        }
    };

    if kind.generator {
        let loss = d.generator_loss(real, fake)?;
        g.update(generator, &config.generator_training(), loss)?;
        losses.push(loss);
    }

    let mut plan = graph.plan().output(names::LOSSES, packed(&losses));
    plan = plan.output(names::SCORES, scores);
    plan = d.traced.assign(discriminator, g.assign(generator, plan));
    if kind.generator {
        plan = averaged(config, generator, &g, plan);
    }
    Ok(plan)
}

/// Both models in the graph of a training step, with what they are trained on.
pub(crate) struct Players<'a, 'g> {
    /// Real images [batch_size, H, W, C].
    pub(crate) real: Var<'g>,
    /// Latents [batch_size, z].
    pub(crate) latents: Var<'g>,
    /// The generator.
    pub(crate) g: Traced<'g>,
    /// The discriminator.
    pub(crate) d: Judge<'a, 'g>,
}

impl<'a, 'g> Players<'a, 'g> {
    /// As they are before the step, and the inputs of a batch.
    pub(crate) fn new(
        graph: &'g Graph,
        config: &'a GanConfig,
        generator: &Model,
        discriminator: &'a Model,
    ) -> Result<Players<'a, 'g>> {
        let n = config.batch_size;
        let real = graph.input(names::REAL, samples(n, discriminator.input())?);
        let latents = graph.input(names::LATENTS, samples(n, generator.input())?);
        let labels = config.conditional(generator, discriminator).map(|_| graph.input(names::LABELS, [n]));
        let inputs = inputs(graph, &inputs_of(generator, discriminator), n)?;
        let counter = Some(graph.input(names::COUNTER, [1]));
        let g = Traced::new(graph, generator, &config.generator_optimiser);
        let traced = Traced::new(graph, discriminator, &config.discriminator_optimiser);
        let d = Judge { config, model: discriminator, traced, labels, inputs, counter };
        Ok(Players { real, latents, g, d })
    }
}

/// The generator's images of a batch [batch_size, H, W, C], in training mode.
pub(crate) fn generated<'g>(
    generator: &Model,
    latents: Var<'g>,
    g: &mut Traced<'g>,
    d: &Judge<'_, 'g>,
) -> Result<Var<'g>> {
    let (labels, counter, index) = (d.labels, d.counter, StepPass::Generator.noise());
    let pass = Pass { labels, counter, index, ..Pass::training() };
    generator.trace_with(latents, &d.inputs, &g.parameters, &mut g.states, pass)
}

/// Moves the average of the generator, where there is one, towards what it is after its update.
pub(crate) fn averaged<'g>(
    config: &GanConfig,
    generator: &Model,
    g: &Traced<'g>,
    mut plan: PlanBuilder<'g>,
) -> PlanBuilder<'g> {
    if config.ema.is_none() {
        return plan;
    }
    let weights = g.weights();
    let graph = weights.graph();
    let rate = graph.input(names::EMA_RATE, [1]);
    let average = graph.variable(&names::average(&names::state(generator.name())), weights.shape());
    plan = plan.assign(average, average.lerp(weights, rate));
    for slot in generator.states() {
        let name = names::average(&names::kept(generator.name(), &slot.name));
        let variable = graph.variable(&name, slot.shape());
        plan = plan.assign(variable, variable.lerp(g.states[&slot.name], rate));
    }
    plan
}

/// Losses as one tensor [losses_len].
pub(crate) fn packed<'g>(losses: &[Var<'g>]) -> Var<'g> {
    let offsets: Vec<usize> = (0..losses.len()).map(|i| i * LOSS_STRIDE).collect();
    Var::pack(losses, &offsets, losses_len(losses.len()))
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
    let inputs = inputs(graph, generator.inputs(), chunk)?;
    let images = drawn(config, generator, latents, &inputs, Pass { labels, ..Pass::inference() })?;
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
    let images = drawn(config, generator, latents, &Inputs::new(), pass)?;
    Ok(graph.plan().output(names::IMAGES, images).build()?)
}

/// The images of latents [n, z] in an inference pass: of the average where there is one.
pub(crate) fn drawn<'g>(
    config: &GanConfig,
    generator: &Model,
    latents: Var<'g>,
    inputs: &Inputs<'g>,
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
    generator.trace_with(latents, inputs, &generator.views(vector), &mut states, pass)
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
