//! The programs of training, each made when it is first needed.

use gannet_tensor::{Backend, Program, Variables};

use crate::accumulation::Recipe;
use crate::error::Result;
use crate::passes::{Phase, StepKind};
use crate::step;

/// What a program of training does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A whole step.
    Whole(StepKind),
    /// Clears the sum of a phase.
    Clearing(Phase),
    /// Adds a micro-batch to the sum of a phase; with which penalties.
    Gradients(Phase, Vec<bool>),
    /// Updates the model of a phase; in the last of a step, with all of its phases.
    Update(Phase, Option<Vec<Phase>>),
}

impl Part {
    /// The programs of each phase of a step of micro-batches.
    pub(crate) fn of_phases(phases: &[Phase], penalties: &[bool]) -> Vec<[Part; 3]> {
        let of = |(i, phase): (usize, &Phase)| {
            let applied = if *phase == Phase::Both { penalties.to_vec() } else { Vec::new() };
            let tells = (i + 1 == phases.len()).then(|| phases.to_vec());
            [Part::Clearing(*phase), Part::Gradients(*phase, applied), Part::Update(*phase, tells)]
        };
        phases.iter().enumerate().map(of).collect()
    }
}

/// The programs that there are so far. They keep their positions.
pub(crate) struct Programs<B: Backend>(Vec<(Part, Program<B>)>);

impl<B: Backend> Programs<B> {
    pub(crate) fn new() -> Programs<B> {
        Programs(Vec::new())
    }

    /// The position of the program that does `part`, which is made if there is none yet.
    pub(crate) fn position(
        &mut self,
        backend: &B,
        recipe: Recipe<'_>,
        variables: &mut Variables<B>,
        part: &Part,
    ) -> Result<usize> {
        if let Some(position) = self.0.iter().position(|(known, _)| known == part) {
            return Ok(position);
        }
        let Recipe { config, generator, discriminator } = recipe;
        let program = match part {
            Part::Whole(kind) => {
                let plan = step::training(config, generator, discriminator, kind)?;
                Program::new(backend, plan, variables)?
            }
            // Together they take no more memory than one of them.
            Part::Clearing(phase) => Program::in_turn(backend, recipe.clearing(*phase)?, variables)?,
            Part::Gradients(phase, penalties) => {
                Program::in_turn(backend, recipe.gradients(*phase, penalties)?, variables)?
            }
            Part::Update(phase, tells) => {
                Program::in_turn(backend, recipe.update(*phase, tells.as_deref())?, variables)?
            }
        };
        self.0.push((part.clone(), program));
        Ok(self.0.len() - 1)
    }

    /// The program at a position.
    pub(crate) fn at(&mut self, position: usize) -> &mut Program<B> {
        &mut self.0[position].1
    }

    /// The program at a position, to look at.
    pub(crate) fn look(&self, position: usize) -> &Program<B> {
        &self.0[position].1
    }
}
