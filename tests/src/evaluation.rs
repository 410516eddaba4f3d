//! A graph evaluated node by node: no plan, no sharing of memory, no fusion.

use std::collections::BTreeMap;

use gannet_tensor::{Element, NodeId, NodeKind, Operation, Shape, TensorMut, TensorRef, Var};

/// The value of every node that some roots need.
pub struct Evaluation<'g, T> {
    nodes: BTreeMap<NodeId, (Var<'g>, Vec<T>)>,
}

impl<'g, T: Element> Evaluation<'g, T> {
    /// Evaluates `roots`, given the values of inputs and variables by name.
    ///
    /// # Panics
    /// When `leaf` has no value for an input or variable, or not as many numbers as its shape.
    pub fn new(roots: &[Var<'g>], leaf: impl Fn(&str) -> Vec<T>) -> Evaluation<'g, T> {
        let mut needed: BTreeMap<NodeId, Var<'g>> = BTreeMap::new();
        let mut stack = roots.to_vec();
        while let Some(var) = stack.pop() {
            if needed.insert(var.id(), var).is_none()
                && let NodeKind::Operation(_, inputs) = var.kind()
            {
                stack.extend(inputs.iter().map(|id| var.graph().var(*id)));
            }
        }
        let mut evaluation = Evaluation { nodes: BTreeMap::new() };
        // Inputs have smaller numbers than what they are inputs of.
        for (id, var) in needed {
            let values = match var.kind() {
                NodeKind::Input(name) | NodeKind::Variable(name) => leaf(&name),
                NodeKind::Fill(value) => vec![T::of(value); var.shape().len()],
                NodeKind::Constant(values) => values.iter().map(|&v| T::of(v)).collect(),
                NodeKind::Operation(op, inputs) => {
                    let inputs: Vec<(Shape, &[T])> = inputs.iter().map(|id| evaluation.get(*id)).collect();
                    apply(&*op, &inputs, var.shape())
                }
            };
            assert_eq!(values.len(), var.shape().len(), "values for {var:?}");
            evaluation.nodes.insert(id, (var, values));
        }
        evaluation
    }

    /// The value of a node.
    ///
    /// # Panics
    /// When no root needed it.
    pub fn value(&self, var: Var<'_>) -> &[T] {
        self.get(var.id()).1
    }

    /// The shape and value of a node.
    pub(crate) fn get(&self, id: NodeId) -> (Shape, &[T]) {
        let (var, values) = &self.nodes[&id];
        (var.shape(), values)
    }

    /// The nodes, inputs before users.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (Var<'g>, &[T])> {
        self.nodes.values().map(|(var, values)| (*var, values.as_slice()))
    }
}

/// `op` by its reference kernel.
pub(crate) fn apply<T: Element>(op: &dyn Operation, inputs: &[(Shape, &[T])], shape: Shape) -> Vec<T> {
    let inputs: Vec<TensorRef<'_, T>> =
        inputs.iter().map(|&(shape, data)| TensorRef { data, shape }).collect();
    // Not zeros: a kernel must write every element.
    let mut y = vec![T::of(f64::NAN); shape.len()];
    T::evaluate(op, &inputs, TensorMut { data: &mut y, shape });
    y
}
