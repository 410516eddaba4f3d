//! Reverse-mode differentiation. It appends the gradient to the graph and computes nothing; since every
//! vjp is written in operations of the graph, a gradient can be differentiated again.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::graph::{Gradients, Node, NodeId, NodeKind, Var, Vjp};

/// The gradient of the scalar `y` with respect to each of `xs`, of the same shapes.
///
/// Errors when `y` is not a scalar (one element), when it does not depend on one of `xs`, or when an
/// operation in between has no derivative.
pub fn grad<'g>(y: Var<'g>, xs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
    let gradients = vjp(y, seed(y)?, xs)?;
    gradients
        .into_iter()
        .zip(xs)
        .map(|(dx, x)| dx.ok_or_else(|| Error::new(format!("grad: {y:?} does not depend on {x:?}"))))
        .collect()
}

/// Like [`grad`], with zeros where `y` does not depend on one of `xs`.
pub fn grad_or_zeros<'g>(y: Var<'g>, xs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
    let gradients = vjp(y, seed(y)?, xs)?;
    Ok(gradients
        .into_iter()
        .zip(xs)
        .map(|(dx, x)| dx.unwrap_or_else(|| x.graph().fill(x.shape(), 0.0)))
        .collect())
}

fn seed<'g>(y: Var<'g>) -> Result<Var<'g>> {
    if y.shape().len() != 1 {
        return Err(Error::new(format!(
            "grad: expected a scalar, got {y:?}; use vjp with a cotangent, or sum it"
        )));
    }
    Ok(y.graph().fill(y.shape(), 1.0))
}

/// The vector-Jacobian products: the gradient of sum(y * dy) with respect to each of `xs`; `None` where
/// `y` does not depend on it. Where every path from `x` to `y` has a derivative of zero (a comparison, a
/// stopped gradient), the gradient is zeros.
///
/// Errors when `dy` has another shape than `y`, or when an operation in between has no derivative.
pub fn vjp<'g>(y: Var<'g>, dy: Var<'g>, xs: &[Var<'g>]) -> Result<Vec<Option<Var<'g>>>> {
    vjp_within(y, dy, xs, &[])
}

impl<'a, 'g> Vjp<'a, 'g> {
    /// What the vjp of an operation with these inputs and this output is computed from.
    pub fn new(
        inputs: &'a [Var<'g>],
        output: Var<'g>,
        cotangent: Var<'g>,
        wanted: &'a [bool],
    ) -> Vjp<'a, 'g> {
        Vjp { inputs, output, cotangent, wanted, through }
    }
}

/// The gradients of an operation's inputs where its output is `y`, a subgraph of them.
fn through<'g>(y: Var<'g>, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
    let wanted: Vec<Var<'g>> =
        cx.inputs.iter().zip(cx.wanted).filter(|(_, w)| **w).map(|(x, _)| *x).collect();
    let mut gradients = vjp_within(y, cx.cotangent, &wanted, cx.inputs)?.into_iter();
    Ok(cx.wanted.iter().map(|w| if *w { gradients.next().flatten() } else { None }).collect())
}

/// [`vjp`] that does not look behind `leaves`.
fn vjp_within<'g>(
    y: Var<'g>,
    dy: Var<'g>,
    xs: &[Var<'g>],
    leaves: &[Var<'g>],
) -> Result<Vec<Option<Var<'g>>>> {
    if dy.shape() != y.shape() {
        return Err(Error::new(format!("vjp: the cotangent {dy:?} has another shape than {y:?}")));
    }
    let graph = y.graph();
    let nodes = graph.snapshot();
    // Which nodes depend on one of `xs`: inputs have smaller numbers, so one sweep is enough.
    let mut depends = vec![false; nodes.len()];
    for x in xs {
        depends[x.id().0] = true;
    }
    for (i, node) in nodes.iter().enumerate().take(y.id().0 + 1) {
        if let NodeKind::Operation(_, inputs) = &node.kind
            && !leaves.iter().any(|leaf| leaf.id().0 == i)
        {
            depends[i] |= inputs.iter().any(|input| depends[input.0]);
        }
    }
    let mut cotangents: HashMap<NodeId, Var<'g>> = HashMap::from([(y.id(), dy)]);
    for i in (0..=y.id().0).rev() {
        let NodeKind::Operation(op, inputs) = &nodes[i].kind else { continue };
        if !depends[i] || leaves.iter().any(|leaf| leaf.id().0 == i) {
            continue;
        }
        let Some(&cotangent) = cotangents.get(&NodeId(i)) else { continue };
        let wanted: Vec<bool> = inputs.iter().map(|input| depends[input.0]).collect();
        if !wanted.contains(&true) {
            continue;
        }
        let inputs: Vec<Var<'g>> = inputs.iter().map(|&id| graph.var(id)).collect();
        let cx = Vjp::new(&inputs, graph.var(NodeId(i)), cotangent, &wanted);
        let gradients = graph.scoped(&nodes[i].scope, || op.vjp(&cx))?;
        for ((input, dx), wanted) in inputs.iter().zip(gradients).zip(wanted) {
            let Some(dx) = dx.filter(|_| wanted) else { continue };
            if dx.shape() != input.shape() {
                return Err(Error::new(format!(
                    "the vjp of '{}' gave a gradient of shape {} for the input {input:?}",
                    op.name(),
                    dx.shape()
                )));
            }
            cotangents.entry(input.id()).and_modify(|sum| *sum = *sum + dx).or_insert(dx);
        }
    }
    Ok(xs
        .iter()
        .map(|x| {
            let connected = depends[y.id().0] && reaches(&nodes, x.id(), y.id());
            let zeros = || graph.fill(x.shape(), 0.0);
            connected.then(|| cotangents.get(&x.id()).copied().unwrap_or_else(zeros))
        })
        .collect())
}

/// Whether `y` depends on `x`, directly or not.
fn reaches(nodes: &[Node], x: NodeId, y: NodeId) -> bool {
    let mut needed = vec![false; y.0 + 1];
    needed[y.0] = true;
    for i in (x.0..=y.0).rev() {
        if needed[i]
            && i != x.0
            && let NodeKind::Operation(_, inputs) = &nodes[i].kind
        {
            for input in inputs {
                needed[input.0] = true;
            }
        }
    }
    x.0 <= y.0 && needed[x.0]
}
