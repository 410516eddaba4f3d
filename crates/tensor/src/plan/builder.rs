//! What a plan is asked for.

use std::collections::BTreeSet;

use super::{Plan, Trace};
use crate::error::{Error, Result};
use crate::fuse;
use crate::graph::{Graph, NodeKind, Var};

/// Names what a plan computes, then builds it.
pub struct PlanBuilder<'g> {
    graph: &'g Graph,
    outputs: Vec<(String, Var<'g>)>,
    assignments: Vec<(Var<'g>, Var<'g>)>,
    fusion: bool,
}

impl Graph {
    /// Starts a plan: name outputs and assignments, then build it.
    pub fn plan(&self) -> PlanBuilder<'_> {
        PlanBuilder::new(self)
    }
}

impl<'g> PlanBuilder<'g> {
    fn new(graph: &'g Graph) -> PlanBuilder<'g> {
        PlanBuilder { graph, outputs: Vec::new(), assignments: Vec::new(), fusion: true }
    }

    /// Asks for the value of `var`, under a name.
    #[must_use]
    pub fn output(mut self, name: &str, var: Var<'g>) -> Self {
        self.outputs.push((name.into(), var));
        self
    }

    /// Gives `variable` the value of `value` at the end of each run. All assignments see the values that
    /// variables had before.
    #[must_use]
    pub fn assign(mut self, variable: Var<'g>, value: Var<'g>) -> Self {
        self.assignments.push((variable, value));
        self
    }

    /// Whether operations may be fused (they are, unless this is called with `false`).
    #[must_use]
    pub fn fusion(mut self, fusion: bool) -> Self {
        self.fusion = fusion;
        self
    }

    /// Makes the plan. Errors when an assignment's target is no variable, is assigned twice or has another
    /// shape, or when two outputs have the same name.
    pub fn build(self) -> Result<Plan> {
        let mut names = BTreeSet::new();
        for (name, _) in &self.outputs {
            if !names.insert(name) {
                return Err(Error::new(format!("two outputs are called '{name}'")));
            }
        }
        let mut targets = BTreeSet::new();
        for (variable, value) in &self.assignments {
            if !matches!(variable.kind(), NodeKind::Variable(_)) {
                return Err(Error::new(format!("only a variable can be assigned to, not {variable:?}")));
            }
            if variable.shape() != value.shape() {
                return Err(Error::new(format!(
                    "{variable:?} cannot take a value of shape {}",
                    value.shape()
                )));
            }
            if !targets.insert(variable.id()) {
                return Err(Error::new(format!("{variable:?} is assigned twice")));
            }
        }
        let mut trace = Trace {
            nodes: self.graph.snapshot(),
            outputs: self.outputs.into_iter().map(|(name, var)| (name, var.id())).collect(),
            assignments: self.assignments.iter().map(|(target, value)| (target.id(), value.id())).collect(),
        };
        if self.fusion {
            fuse::fuse(&mut trace);
        }
        Plan::new(trace)
    }
}
