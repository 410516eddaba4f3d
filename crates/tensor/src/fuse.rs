//! Rewrites of a trace into fused operations, after differentiation and before placement.
//!
//! A rewrite looks at one node and the nodes behind it. It may take a node in only if nothing else needs
//! that node's value. Nodes keep their numbers, so users of a rewritten node see no difference; what was
//! taken in is no longer reachable and is dropped with everything else that nobody needs.

use std::sync::Arc;

use crate::graph::{Node, NodeId, NodeKind};
use crate::operation::Operation;
use crate::ops::{
    Activation, Add, BatchNorm, Conv2d, ConvTranspose2d, Epilogue, FusedBatchNorm, FusedConv2d,
    FusedConvTranspose2d, FusedMatMul, MatMul, Reshape,
};
use crate::plan::Trace;
use crate::shape::Shape;

/// Applies every rewrite to every node, inputs before users.
pub(crate) fn fuse(trace: &mut Trace) {
    for i in 0..trace.nodes.len() {
        let users = Users::count(trace);
        let id = NodeId(i);
        if users.of(id) > 0 {
            let _ = bias(trace, &users, id).is_some()
                || activation(trace, &users, id).is_some()
                || activation_grad(trace, &users, id).is_some();
        }
    }
}

/// How many needed nodes, outputs and assignments read each node.
struct Users(Vec<usize>);

impl Users {
    fn count(trace: &Trace) -> Users {
        let mut users = vec![0; trace.nodes.len()];
        let mut stack: Vec<NodeId> = trace.roots().collect();
        while let Some(id) = stack.pop() {
            users[id.0] += 1;
            if users[id.0] == 1
                && let NodeKind::Operation(_, inputs) = &trace.nodes[id.0].kind
            {
                stack.extend(inputs);
            }
        }
        Users(users)
    }

    fn of(&self, id: NodeId) -> usize {
        self.0[id.0]
    }
}

fn operation(trace: &Trace, id: NodeId) -> Option<(Arc<dyn Operation>, Vec<NodeId>)> {
    match &trace.nodes[id.0].kind {
        NodeKind::Operation(op, inputs) => Some((op.clone(), inputs.clone())),
        _ => None,
    }
}

/// A product that has no epilogue yet, or only a bias: its operands.
fn product(trace: &Trace, users: &Users, id: NodeId) -> Option<(Arc<dyn Operation>, Vec<NodeId>)> {
    operation(trace, id).filter(|_| users.of(id) == 1)
}

/// The fused form of the product `op` with `epilogue`, if `op` is a product.
fn with_epilogue(op: &dyn Operation, epilogue: Epilogue) -> Option<Arc<dyn Operation>> {
    if let Some(&MatMul { trans_a, trans_b }) = op.downcast() {
        return Some(Arc::new(FusedMatMul { trans_a, trans_b, epilogue }));
    }
    if let Some(&Conv2d { geometry }) = op.downcast() {
        return Some(Arc::new(FusedConv2d { geometry, epilogue }));
    }
    op.downcast().map(|&ConvTranspose2d { geometry }| {
        Arc::new(FusedConvTranspose2d { geometry, epilogue }) as Arc<dyn Operation>
    })
}

/// The same product with an activation, if `op` is a product with a bias.
fn activate_bias(op: &dyn Operation, activation: Activation) -> Option<Arc<dyn Operation>> {
    let epilogue = Epilogue::BiasActivation(activation);
    if let Some(&FusedMatMul { trans_a, trans_b, epilogue: Epilogue::Bias }) = op.downcast() {
        return Some(Arc::new(FusedMatMul { trans_a, trans_b, epilogue }));
    }
    if let Some(&FusedConv2d { geometry, epilogue: Epilogue::Bias }) = op.downcast() {
        return Some(Arc::new(FusedConv2d { geometry, epilogue }));
    }
    if let Some(&FusedConvTranspose2d { geometry, epilogue: Epilogue::Bias }) = op.downcast() {
        return Some(Arc::new(FusedConvTranspose2d { geometry, epilogue }));
    }
    None
}

/// product + bias
fn bias(trace: &mut Trace, users: &Users, id: NodeId) -> Option<()> {
    let (op, inputs) = operation(trace, id)?;
    op.downcast::<Add>()?;
    let shape = trace.nodes[id.0].shape;
    let per_channel = Shape::from([shape.last()]);
    for (x, b) in [(inputs[0], inputs[1]), (inputs[1], inputs[0])] {
        if trace.nodes[x.0].shape != shape || trace.nodes[b.0].shape != per_channel || x == b {
            continue;
        }
        let Some((inner, mut operands)) = product(trace, users, x) else { continue };
        let Some(fused) = with_epilogue(&*inner, Epilogue::Bias) else { continue };
        operands.push(b);
        trace.nodes[id.0].kind = NodeKind::Operation(fused, operands);
        return Some(());
    }
    None
}

/// activation(product), activation(product + bias) and activation(batch_norm)
fn activation(trace: &mut Trace, users: &Users, id: NodeId) -> Option<()> {
    let (op, inputs) = operation(trace, id)?;
    let activation = Activation::of(&*op)?;
    let (inner, operands) = product(trace, users, inputs[0])?;
    let fused = with_epilogue(&*inner, Epilogue::Activation(activation))
        .or_else(|| activate_bias(&*inner, activation))
        .or_else(|| {
            inner.downcast().map(|&BatchNorm { eps, groups, training }| {
                Arc::new(FusedBatchNorm { eps, groups, training, activation }) as Arc<dyn Operation>
            })
        })?;
    trace.nodes[id.0].kind = NodeKind::Operation(fused, operands);
    Some(())
}

/// The vjp of an activation whose cotangent is a product, perhaps under another shape.
fn activation_grad(trace: &mut Trace, users: &Users, id: NodeId) -> Option<()> {
    let (op, inputs) = operation(trace, id)?;
    let epilogue = Epilogue::ActivationGrad(Activation::of_grad(&*op)?);
    let [y, dy] = inputs[..] else { return None };
    if y == dy {
        return None;
    }
    let (inner, operands) = product(trace, users, dy)?;
    if let Some(fused) = with_epilogue(&*inner, epilogue) {
        trace.nodes[id.0].kind = NodeKind::Operation(fused, [operands, vec![y]].concat());
        return Some(());
    }
    inner.downcast::<Reshape>()?;
    let source = operands[0];
    let (inner, operands) = product(trace, users, source)?;
    let fused = with_epilogue(&*inner, epilogue)?;
    let (outer, shape) = (trace.nodes[id.0].shape, trace.nodes[source.0].shape);
    let scope = trace.nodes[id.0].scope.clone();
    let mut push = |kind, shape| {
        trace.nodes.push(Node { kind, shape, scope: scope.clone() });
        NodeId(trace.nodes.len() - 1)
    };
    let seen = push(NodeKind::Operation(Arc::new(Reshape { shape }), vec![y]), shape);
    let fused = push(NodeKind::Operation(fused, [operands, vec![seen]].concat()), shape);
    trace.nodes[id.0].kind = NodeKind::Operation(Arc::new(Reshape { shape: outer }), vec![fused]);
    Some(())
}
