//! What a plan is asked for.

use std::collections::BTreeSet;

use super::Plan;
use super::placement::Placement;
use super::trace::{Trace, decompose};
use crate::error::{Error, Result};
use crate::fuse;
use crate::graph::{Graph, NodeId, NodeKind, Operation, Var};
use crate::shape::Shape;

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

impl Plan {
    /// The same computation with every operation that `supported` refuses replaced by its decomposition.
    /// Errors when one has none. It is not asked about views and what is not needed: they are never run.
    pub fn lowered(self, supported: impl Fn(&dyn Operation, &[Shape], Shape) -> bool) -> Result<Plan> {
        let mut trace = self.trace.clone();
        let mut changed = false;
        let (traced, needed) = (trace.nodes.len(), BTreeSet::from_iter(trace.schedule()));
        let mut i = 0;
        while i < trace.nodes.len() {
            if let NodeKind::Operation(op, inputs) = trace.nodes[i].kind.clone()
                && (i >= traced || needed.contains(&NodeId(i)))
            {
                let shapes: Vec<Shape> = inputs.iter().map(|id| trace.nodes[id.0].shape).collect();
                if op.view(&shapes).is_none() && !supported(&*op, &shapes, trace.nodes[i].shape) {
                    changed = true;
                    decompose(&mut trace, i, &*op, &inputs)?;
                }
            }
            i += 1;
        }
        if changed { Plan::new(trace) } else { Ok(self) }
    }

    fn new(trace: Trace) -> Result<Plan> {
        let order = trace.schedule();
        let mut placement = Placement::new(&trace, &order);
        placement.place_views_and_pieces();
        placement.place_assignments();
        placement.place_in_place();
        let plan = placement.finish();
        Ok(plan)
    }
}
