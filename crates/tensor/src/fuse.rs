//! Rewrites of a trace into fused operations, after differentiation and before placement.
//!
//! A rewrite looks at one node and the nodes behind it. It may take a node in only if nothing else needs
//! that node's value. Nodes keep their numbers, so users of a rewritten node see no difference; what was
//! taken in is no longer reachable and is dropped with everything else that nobody needs.

use std::sync::Arc;

use crate::graph::{Node, NodeId, NodeKind, Operation};
use crate::ops::{
    Activation, Add, Affine, BatchNorm, BceLogits, Concat, Conv2d, ConvTranspose2d, Epilogue, FusedBatchNorm,
    FusedBceSum, FusedConv2d, FusedConvTranspose2d, FusedLerp, FusedMatMul, FusedSigmoidAffine, Lerp,
    MOST_LERP_STEPS, MatMul, Pad, Reshape, Sigmoid, Sum,
};
use crate::plan::Trace;
use crate::shape::Shape;

/// Applies every rewrite to every node, inputs before users.
pub(crate) fn fuse(trace: &mut Trace) {
    let mut users = Users::count(trace);
    for i in 0..trace.nodes.len() {
        let id = NodeId(i);
        if users.of(id) == 0 {
            continue;
        }
        let before = inputs(trace, id).to_vec();
        let rewritten = bias(trace, &users, id).is_some()
            || activation(trace, &users, id).is_some()
            || activation_grad(trace, &users, id).is_some()
            || bce_sum(trace, &users, id).is_some()
            || sigmoid_affine(trace, &users, id).is_some()
            || lerps(trace, &users, id).is_some()
            || complementary_pads(trace, &users, id).is_some();
        if rewritten {
            users.rewritten(trace, id, before);
        }
    }
}

fn inputs(trace: &Trace, id: NodeId) -> &[NodeId] {
    match &trace.nodes[id.0].kind {
        NodeKind::Operation(_, inputs) => inputs,
        _ => &[],
    }
}

/// How many needed nodes, outputs and assignments read each node.
struct Users(Vec<usize>);

impl Users {
    fn count(trace: &Trace) -> Users {
        let mut users = Users(Vec::new());
        users.read(trace, trace.roots().collect());
        users
    }

    /// One user more for each of these nodes, and for the inputs of those that had none.
    fn read(&mut self, trace: &Trace, mut stack: Vec<NodeId>) {
        self.0.resize(trace.nodes.len(), 0);
        while let Some(id) = stack.pop() {
            self.0[id.0] += 1;
            if self.0[id.0] == 1 {
                stack.extend(inputs(trace, id));
            }
        }
    }

    /// One user less for each of these nodes, and for the inputs of those that have none left.
    fn forget(&mut self, trace: &Trace, mut stack: Vec<NodeId>) {
        while let Some(id) = stack.pop() {
            self.0[id.0] -= 1;
            if self.0[id.0] == 0 {
                stack.extend(inputs(trace, id));
            }
        }
    }

    /// The node has other inputs than it had.
    fn rewritten(&mut self, trace: &Trace, id: NodeId, before: Vec<NodeId>) {
        self.read(trace, inputs(trace, id).to_vec());
        self.forget(trace, before);
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

/// The operation of `id` as an `O`, with its inputs, if nothing else reads its value.
fn only<O: Operation>(trace: &Trace, users: &Users, id: NodeId) -> Option<(Arc<dyn Operation>, Vec<NodeId>)> {
    product(trace, users, id).filter(|(op, _)| op.downcast::<O>().is_some())
}

/// scale sum(bce_logits(x, t)), a scalar
fn bce_sum(trace: &mut Trace, users: &Users, id: NodeId) -> Option<()> {
    let (op, inputs) = operation(trace, id)?;
    let &Affine { scale, shift: 0.0 } = op.downcast()? else { return None };
    let (_, inputs) = only::<Reshape>(trace, users, inputs[0])?;
    let sum = inputs[0];
    let (_, inputs) = only::<Sum>(trace, users, sum)?;
    let (_, operands) = only::<BceLogits>(trace, users, inputs[0])?;
    if trace.nodes[id.0].shape != Shape::SCALAR || trace.nodes[sum.0].shape.len() != 1 {
        return None;
    }
    trace.nodes[id.0].kind = NodeKind::Operation(Arc::new(FusedBceSum { scale }), operands);
    Some(())
}

/// scale sigmoid(x) + shift
fn sigmoid_affine(trace: &mut Trace, users: &Users, id: NodeId) -> Option<()> {
    let (op, inputs) = operation(trace, id)?;
    let &Affine { scale, shift } = op.downcast()?;
    let (_, operands) = only::<Sigmoid>(trace, users, inputs[0])?;
    trace.nodes[id.0].kind = NodeKind::Operation(Arc::new(FusedSigmoidAffine { scale, shift }), operands);
    Some(())
}

/// lerp(lerp(a, b, t), c, t)
fn lerps(trace: &mut Trace, users: &Users, id: NodeId) -> Option<()> {
    let (op, inputs) = operation(trace, id)?;
    op.downcast::<Lerp>()?;
    let [inner, b, t] = inputs[..] else { return None };
    let (_, mut chain) =
        only::<Lerp>(trace, users, inner).or_else(|| only::<FusedLerp>(trace, users, inner))?;
    // a, the b, t
    if chain.last() != Some(&t) || chain.len() - 2 >= MOST_LERP_STEPS {
        return None;
    }
    chain.insert(chain.len() - 1, b);
    trace.nodes[id.0].kind = NodeKind::Operation(Arc::new(FusedLerp), chain);
    Some(())
}

/// The sum of x with zeros behind and y with zeros in front is x and y one after another: so come the gradients of
/// the two parts of a batch.
fn complementary_pads(trace: &mut Trace, users: &Users, id: NodeId) -> Option<()> {
    let (op, inputs) = operation(trace, id)?;
    op.downcast::<Add>()?;
    let [first, second] = inputs[..] else { return None };
    for (x, y) in [(first, second), (second, first)] {
        let ((x_op, x), (y_op, y)) = (only::<Pad>(trace, users, x)?, only::<Pad>(trace, users, y)?);
        let (front, back) = (x_op.downcast::<Pad>()?, y_op.downcast::<Pad>()?);
        let axis = front.axis;
        let (x_shape, y_shape) = (trace.nodes[x[0].0].shape, trace.nodes[y[0].0].shape);
        let complement = axis == back.axis
            && (front.before, back.after) == (0, 0)
            && front.after == y_shape.dims()[axis]
            && back.before == x_shape.dims()[axis];
        if complement && trace.nodes[first.0].shape == trace.nodes[second.0].shape {
            trace.nodes[id.0].kind = NodeKind::Operation(Arc::new(Concat { axis }), vec![x[0], y[0]]);
            return Some(());
        }
    }
    None
}
