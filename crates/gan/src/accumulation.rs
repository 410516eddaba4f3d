//! The graphs of a training step that is made of micro-batches.
//!
//! Every phase of such a step is three programs: one clears a sum, one adds to it what a micro-batch gives and is run for
//! each of them in order, and one updates the model by the sum. What a micro-batch gives is a single vector: the gradient,
//! how far its pass moves the states of layers, and the losses, each divided by the number of micro-batches. So the sums
//! run in the order of the micro-batches, whoever computes which of them.

use gannet_tensor::{Graph, Plan, PlanBuilder, Shape, Var};

use crate::config::GanConfig;
use crate::error::Result;
use crate::judge::{Judge, Judged};
use crate::model::{ALIGNMENT, Model};
use crate::names;
use crate::passes::{Origin, Phase};
use crate::step::{LOSS_STRIDE, Players, averaged, generated, losses_len, packed};
use crate::update::Traced;

/// The two models of a GAN with its configuration.
#[derive(Clone, Copy)]
pub(crate) struct Recipe<'a> {
    pub(crate) config: &'a GanConfig,
    pub(crate) generator: &'a Model,
    pub(crate) discriminator: &'a Model,
}

/// A variable that a step of micro-batches keeps things in, zero at first: no part of what a file holds.
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) shape: Shape,
}

impl<'a> Recipe<'a> {
    /// The variables that steps of micro-batches need beside those of the models.
    pub(crate) fn kept(self) -> Vec<Kept> {
        let mut kept: Vec<Kept> = Vec::new();
        for phase in Phase::all(self.config) {
            let name = names::sum(self.model(phase).name());
            // Updates apart from one another take turns with one sum, which has the same parts in both.
            if kept.iter().all(|other| other.name != name) {
                kept.push(Kept { name, shape: [self.layout(phase).len].into() });
            }
            let losses = losses_len(phase.losses());
            kept.push(Kept { name: names::phase_losses(phase.name()), shape: [losses].into() });
            let scored = phase.scored(self.config);
            if scored > 0 {
                let shape = Shape::from([self.config.accumulate as usize * scored, 1]);
                kept.push(Kept { name: names::phase_scores(phase.name()), shape });
            }
        }
        kept
    }

    /// The numbers that a phase sums up.
    pub(crate) fn sum_len(self, phase: Phase) -> usize {
        self.layout(phase).len
    }

    /// The model that a phase updates.
    pub(crate) fn model(self, phase: Phase) -> &'a Model {
        match phase {
            Phase::Both | Phase::Apart(_) => self.discriminator,
            Phase::Generator => self.generator,
        }
    }

    /// The models whose states a phase moves.
    fn moved(self, phase: Phase) -> Vec<&'a Model> {
        match phase {
            Phase::Both | Phase::Apart(_) => vec![self.discriminator],
            Phase::Generator => vec![self.generator, self.discriminator],
        }
    }

    /// Where the parts of a phase's sum lie.
    fn layout(self, phase: Phase) -> Layout {
        let model = self.model(phase);
        let mut layout = Layout { states: Vec::new(), losses: 0, len: 0 };
        if model.trained_count() > 0 {
            layout.len = model.vector_len();
        }
        for model in self.moved(phase) {
            for slot in model.states() {
                layout.states.push(layout.len);
                layout.len += slot.shape().len().next_multiple_of(ALIGNMENT);
            }
        }
        layout.losses = layout.len;
        layout.len += losses_len(phase.losses());
        layout
    }

    /// Sets a phase's sum to zero, whatever it was.
    pub(crate) fn clearing(self, phase: Phase) -> Result<Plan> {
        let graph = &Graph::new();
        let (len, name) = (self.layout(phase).len, names::sum(self.model(phase).name()));
        let zero = graph.constant([1], &[0.0]);
        Ok(graph.plan().assign(graph.variable(&name, [len]), zero.broadcast_to([len])).build()?)
    }

    /// Adds to a phase's sum what a micro-batch gives. `penalties` says which of the configuration's are computed.
    pub(crate) fn gradients(self, phase: Phase, penalties: &[bool]) -> Result<Plan> {
        Ok(self.trace_gradients(&Graph::new(), phase, penalties)?.build()?)
    }

    fn trace_gradients<'g>(
        self,
        graph: &'g Graph,
        phase: Phase,
        penalties: &[bool],
    ) -> Result<PlanBuilder<'g>> {
        let Recipe { config, generator, discriminator } = self;
        let Players { real, latents, mut g, mut d } = Players::new(graph, config, generator, discriminator)?;
        let (loss, told, scores) = match phase {
            Phase::Both => {
                // The generator's states move in its own phase.
                let states = g.states.clone();
                let fake = generated(generator, latents, &mut g, &d)?;
                g.states = states;
                let Judged { loss, told, scores } = d.on_both(penalties, real, fake)?;
                (loss, told, Some(scores))
            }
            Phase::Apart(origin) => {
                let images = self.seen_by(origin, real, latents, &mut g, &d)?;
                let Judged { loss, told, scores } = d.on(origin, images)?;
                (loss, told, Some(scores))
            }
            Phase::Generator => {
                let fake = generated(generator, latents, &mut g, &d)?;
                let loss = d.generator_loss(real, fake)?;
                (loss, vec![loss], None)
            }
        };
        let share = 1.0 / config.accumulate as f64;
        let layout = self.layout(phase);
        let traced = if phase == Phase::Generator { &g } else { &d.traced };
        let model = self.model(phase);
        let (mut pieces, mut offsets) = (Vec::new(), Vec::new());
        if model.trained_count() > 0 {
            let gradients = model.gradients(loss * share, &traced.parameters)?;
            (pieces, offsets) = model.pieces(&gradients)?;
        }
        let mut at = layout.states.iter();
        for model in self.moved(phase) {
            let traced = if model.name() == generator.name() { &g } else { &d.traced };
            for (slot, offset) in model.states().iter().zip(&mut at) {
                let before = graph.variable(&names::kept(model.name(), &slot.name), slot.shape());
                let after = traced.states[&slot.name];
                if after != before {
                    pieces.push((after - before) * share);
                    offsets.push(*offset);
                }
            }
        }
        for (x, offset) in told.iter().zip((layout.losses..).step_by(LOSS_STRIDE)) {
            pieces.push(*x * share);
            offsets.push(offset);
        }
        let sum = graph.variable(&names::sum(model.name()), [layout.len]);
        let mut plan = graph.plan().assign(sum, sum.accumulate(Var::pack(&pieces, &offsets, layout.len)));
        if let Some(scores) = scores {
            let scored = phase.scored(config);
            // The scores of the last micro-batches of as many as a step has, the oldest first.
            let all = config.accumulate as usize * scored;
            let kept = graph.variable(&names::phase_scores(phase.name()), [all, 1]);
            plan = plan.assign(kept, Var::concat(&[kept.slice(0, scored, all), scores], 0));
        }
        Ok(plan)
    }

    /// Images of one origin as the discriminator sees them.
    fn seen_by<'g>(
        self,
        origin: Origin,
        real: Var<'g>,
        latents: Var<'g>,
        g: &mut Traced<'g>,
        d: &Judge<'_, 'g>,
    ) -> Result<Var<'g>> {
        if origin == Origin::Real && self.config.augment.is_none() {
            return Ok(real);
        }
        let states = g.states.clone();
        let fake = generated(self.generator, latents, g, d)?;
        g.states = states;
        match (self.config.augment, origin) {
            (None, _) => Ok(fake),
            (Some(_), Origin::Real) => Ok(d.seen_apart(real, fake)?[0]),
            (Some(_), Origin::Generated) => Ok(d.seen_apart(real, fake)?[1]),
        }
    }

    /// Updates the model of a phase by the sum of all micro-batches. With `tells`, which holds the phases of the step in
    /// order, this is the last of them, and gives the losses of all.
    pub(crate) fn update(self, phase: Phase, tells: Option<&[Phase]>) -> Result<Plan> {
        let Recipe { config, generator, discriminator } = self;
        let graph = &Graph::new();
        let layout = self.layout(phase);
        let model = self.model(phase);
        let sum = graph.variable(&names::sum(model.name()), [layout.len]);
        let part = |offset: usize, shape: Shape| sum.slice(0, offset, offset + shape.len()).reshape(shape);
        let mut g = Traced::new(graph, generator, &config.generator_optimiser);
        let mut d = Traced::new(graph, discriminator, &config.discriminator_optimiser);
        if model.trained_count() > 0 {
            let gradient = || Ok(part(0, [model.vector_len()].into()));
            let (g_name, d_name) = (generator.name(), discriminator.name());
            match phase {
                Phase::Generator => {
                    g.follow(generator, &config.generator_training(), &names::scalars(g_name), gradient)?;
                }
                Phase::Both | Phase::Apart(Origin::Real) => {
                    let training = config.discriminator_training();
                    d.follow(discriminator, &training, &names::scalars(d_name), gradient)?;
                }
                Phase::Apart(Origin::Generated) => {
                    let training = config.discriminator_training();
                    d.follow(discriminator, &training, &names::second_scalars(d_name), gradient)?;
                }
            }
        }
        let mut offsets = layout.states.iter();
        for model in self.moved(phase) {
            let traced = if model.name() == generator.name() { &mut g } else { &mut d };
            for (slot, offset) in model.states().iter().zip(&mut offsets) {
                let before = traced.states[&slot.name];
                traced.states.insert(slot.name.clone(), before + part(*offset, slot.shape()));
            }
        }
        let losses = part(layout.losses, [losses_len(phase.losses())].into());
        let mut plan = d.assign(discriminator, g.assign(generator, graph.plan()));
        if phase == Phase::Generator {
            plan = averaged(config, generator, &g, plan);
        }
        Ok(match tells {
            Some(phases) => {
                let told = |phase: &Phase| -> Vec<Var<'_>> {
                    let losses = match *phase == phases[phases.len() - 1] {
                        true => losses,
                        false => {
                            let len = losses_len(phase.losses());
                            graph.variable(&names::phase_losses(phase.name()), [len])
                        }
                    };
                    let at = (0..phase.losses()).map(|i| i * LOSS_STRIDE);
                    at.map(|at| losses.slice(0, at, at + 1).reshape(Shape::SCALAR)).collect()
                };
                let all: Vec<Var<'_>> = phases.iter().flat_map(told).collect();
                plan.output(names::LOSSES, packed(&all))
            }
            None => {
                let variable = names::phase_losses(phase.name());
                plan.assign(graph.variable(&variable, losses.shape()), losses)
            }
        }
        .build()?)
    }
}

/// Where the parts of a phase's sum lie: the gradient at the beginning, if any parameter is trained.
struct Layout {
    /// The states of the layers, in the order of the models and of their states.
    states: Vec<usize>,
    /// The losses, each [`LOSS_STRIDE`] after the one before.
    losses: usize,
    /// The numbers in all.
    len: usize,
}
