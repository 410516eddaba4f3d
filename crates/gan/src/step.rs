//! The graph of a training step, and that of sampling.

use gannet_tensor::{Graph, Plan, Var, grad};

use crate::config::GanConfig;
use crate::error::Result;
use crate::layer::{Mode, Pass};
use crate::model::{Model, Parameters, States};
use crate::optimisers::Optimiser;

/// Names of inputs and outputs of the programs.
pub(crate) mod names {
    pub(crate) const REAL: &str = "real";
    pub(crate) const LATENTS: &str = "latents";
    pub(crate) const LABELS: &str = "labels";
    pub(crate) const COUNTER: &str = "counter";
    pub(crate) const EMA_RATE: &str = "ema_rate";
    pub(crate) const LOSSES: &str = "losses";
    pub(crate) const IMAGES: &str = "images";

    /// The numbers of an optimiser's update.
    pub(crate) fn scalars(model: &str) -> String {
        format!("{model}/scalars")
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
struct Traced<'g> {
    state: Var<'g>,
    parameters: Parameters<'g>,
    states: States<'g>,
}

impl<'g> Traced<'g> {
    fn new(graph: &'g Graph, model: &Model, optimiser: &Optimiser) -> Traced<'g> {
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
    fn update(&mut self, model: &Model, optimiser: &Optimiser, loss: Var<'g>) -> Result<()> {
        let graph = loss.graph();
        let ordered: Vec<Var<'g>> =
            model.parameters().iter().map(|slot| self.parameters[&slot.name]).collect();
        if ordered.is_empty() {
            return Ok(());
        }
        let gradients = grad(loss, &ordered)?;
        let scalars = graph.input(&names::scalars(model.name()), [optimiser.scalar_count()]);
        self.state = graph.scoped(&format!("{}/optimiser", model.name()), || {
            optimiser.update(self.state, model.pack(&gradients), scalars)
        });
        // To what comes next the new parameters are constants: nothing is differentiated through an update.
        self.parameters = model.views(first_row(self.state.stop_gradient()));
        Ok(())
    }
}

/// The parameters in an optimiser's state [rows, n].
fn first_row(state: Var<'_>) -> Var<'_> {
    let n = state.shape().dims()[1];
    state.slice(0, 0, 1).reshape([n])
}

/// One training step: the discriminator on real and generated images in one batch, its update, the generator
/// against the new discriminator, its update, the average.
///
/// Every pass is in training mode. The discriminator's running statistics move three times: for the real images,
/// for the generated ones, and in the generator's pass.
pub(crate) fn training(config: &GanConfig, generator: &Model, discriminator: &Model) -> Result<Plan> {
    let graph = &Graph::new();
    let n = config.batch_size;
    let batch = |model: &Model| {
        let dims: Vec<usize> = std::iter::once(n).chain(model.input().dims().iter().copied()).collect();
        gannet_tensor::Shape::new(&dims)
    };
    let real = graph.input(names::REAL, batch(discriminator)?);
    let latents = graph.input(names::LATENTS, batch(generator)?);
    let conditional = generator.classes().or(discriminator.classes()).is_some();
    let labels = conditional.then(|| graph.input(names::LABELS, [n]));
    let counter = Some(graph.input(names::COUNTER, [1]));

    let mut g = Traced::new(graph, generator, &config.generator_optimiser);
    let mut d = Traced::new(graph, discriminator, &config.discriminator_optimiser);
    let pass = Pass { mode: Mode::Training { groups: 1 }, labels, counter, index: 0 };
    let fake = generator.trace(latents, &g.parameters, &mut g.states, pass)?;

    let both = Var::concat(&[real, fake], 0);
    let both_labels = labels.map(|labels| Var::concat(&[labels, labels], 0));
    let pass = Pass { mode: Mode::Training { groups: 2 }, labels: both_labels, counter, index: 1 };
    let scores = discriminator.trace(both, &d.parameters, &mut d.states, pass)?;
    let (real_scores, fake_scores) = (scores.slice(0, 0, n), scores.slice(0, n, 2 * n));
    let [d_real, d_fake] = config.loss.discriminator(real_scores, fake_scores, config.real_target);
    d.update(discriminator, &config.discriminator_optimiser, d_real + d_fake)?;

    let pass = Pass { mode: Mode::Training { groups: 1 }, labels, counter, index: 2 };
    let scores = discriminator.trace(fake, &d.parameters, &mut d.states, pass)?;
    let g_loss = config.loss.generator(scores);
    g.update(generator, &config.generator_optimiser, g_loss)?;

    let losses = Var::pack(&[d_real, d_fake, g_loss], &[0, 1, 2], 3);
    let mut plan = graph.plan().output(names::LOSSES, losses);
    for (model, traced) in [(generator, &g), (discriminator, &d)] {
        let state = graph.variable(&names::state(model.name()), traced.state.shape());
        plan = plan.assign(state, traced.state);
        for slot in model.states() {
            let variable = graph.variable(&names::kept(model.name(), &slot.name), slot.shape());
            plan = plan.assign(variable, traced.states[&slot.name]);
        }
    }
    if config.ema.is_some() {
        let rate = graph.input(names::EMA_RATE, [1]);
        let vector =
            graph.variable(&names::average(&names::state(generator.name())), first_row(g.state).shape());
        plan = plan.assign(vector, vector.lerp(first_row(g.state), rate));
        for slot in generator.states() {
            let name = names::average(&names::kept(generator.name(), &slot.name));
            let variable = graph.variable(&name, slot.shape());
            plan = plan.assign(variable, variable.lerp(g.states[&slot.name], rate));
        }
    }
    Ok(plan.build()?)
}

/// Images from `chunk` latents, in inference mode: of the average where there is one.
pub(crate) fn sampling(config: &GanConfig, generator: &Model, chunk: usize) -> Result<Plan> {
    let graph = &Graph::new();
    let dims: Vec<usize> = std::iter::once(chunk).chain(generator.input().dims().iter().copied()).collect();
    let latents = graph.input(names::LATENTS, gannet_tensor::Shape::new(&dims)?);
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
