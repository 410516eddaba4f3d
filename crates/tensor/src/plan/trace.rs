//! The nodes that a plan is made from: which are needed, in which order, and their decompositions.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, NodeKind, Operation, Var};

/// A list of nodes with what is asked of it: what fusion rewrites and placement reads. Fusion may leave
/// nodes whose inputs have larger numbers; the order of execution is found anew.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) nodes: Vec<Node>,
    pub(crate) outputs: Vec<(String, NodeId)>,
    pub(crate) assignments: Vec<(NodeId, NodeId)>,
}

impl Trace {
    /// The nodes asked for.
    pub(crate) fn roots(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.outputs.iter().map(|(_, id)| *id).chain(self.assignments.iter().map(|(_, id)| *id))
    }

    /// The needed nodes, inputs before users. A node stands as early as its number asks, so the order of
    /// the trace is kept where nothing forces another.
    pub(super) fn schedule(&self) -> Vec<NodeId> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        // Reachable nodes first, then depth first from the smallest number on.
        let mut needed = vec![false; self.nodes.len()];
        let mut stack: Vec<NodeId> = self.roots().collect();
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut needed[id.0], true) {
                continue;
            }
            if let NodeKind::Operation(_, inputs) = &self.nodes[id.0].kind {
                stack.extend(inputs);
            }
        }
        let mut marks = vec![Mark::New; self.nodes.len()];
        let mut order = Vec::new();
        for start in (0..self.nodes.len()).filter(|&i| needed[i]) {
            let mut stack = vec![start];
            while let Some(&id) = stack.last() {
                if marks[id] == Mark::Done {
                    stack.pop();
                    continue;
                }
                let inputs = match &self.nodes[id].kind {
                    NodeKind::Operation(_, inputs) => inputs.as_slice(),
                    _ => &[],
                };
                if marks[id] == Mark::Open {
                    marks[id] = Mark::Done;
                    order.push(NodeId(id));
                    stack.pop();
                    continue;
                }
                marks[id] = Mark::Open;
                stack.extend(inputs.iter().rev().map(|i| i.0).filter(|&i| marks[i] == Mark::New));
            }
        }
        order
    }
}

/// Replaces node `i` by the decomposition of its operation, appended to the trace.
pub(super) fn decompose(trace: &mut Trace, i: usize, op: &dyn Operation, inputs: &[NodeId]) -> Result<()> {
    let graph = Graph::new();
    let leaves: Vec<Var<'_>> = inputs
        .iter()
        .enumerate()
        .map(|(k, id)| match trace.nodes[id.0].kind {
            NodeKind::Fill(value) => graph.fill(trace.nodes[id.0].shape, value),
            _ => graph.input(&k.to_string(), trace.nodes[id.0].shape),
        })
        .collect();
    let y = op.decompose(&leaves).ok_or_else(|| {
        Error::new(format!("the device has no kernel for '{}', and it has no decomposition", op.name()))
    })?;
    let base = trace.nodes.len();
    let scope = trace.nodes[i].scope.clone();
    let moved = |id: NodeId| match leaves.iter().position(|leaf| leaf.id() == id) {
        Some(k) => inputs[k],
        None => NodeId(base + id.0),
    };
    for mut node in graph.snapshot() {
        if let NodeKind::Operation(_, inputs) = &mut node.kind {
            inputs.iter_mut().for_each(|id| *id = moved(*id));
        }
        node.scope = scope.clone();
        trace.nodes.push(node);
    }
    // The node keeps its number, for its users; it becomes the last operation of the decomposition, or a
    // view of an input that the decomposition is.
    let last = moved(y.id());
    trace.nodes[i].kind = match trace.nodes[last.0].kind.clone() {
        kind @ (NodeKind::Operation(..) | NodeKind::Fill(_) | NodeKind::Constant(_)) if last.0 >= base => {
            kind
        }
        _ => NodeKind::Operation(Arc::new(crate::ops::Reshape { shape: trace.nodes[i].shape }), vec![last]),
    };
    Ok(())
}
