//! The graph that a computation is traced into, and the handles it is traced with.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::operation::Operation;
use crate::shape::Shape;

/// The number of a node in its graph. The inputs of a node have smaller numbers than the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

impl NodeId {
    /// The position of the node in its graph, counted from 0.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A tensor that the host writes before a run.
    Input(String),
    /// A tensor that keeps its value from run to run.
    Variable(String),
    /// Every element has this value.
    Fill(f64),
    /// Values known when the graph is traced.
    Constant(Arc<[f64]>),
    /// The output of an operation.
    Operation(Arc<dyn Operation>, Vec<NodeId>),
}

/// A node: what it is, its shape, and the scope it was traced in (`discriminator/conv2d_1`).
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) shape: Shape,
    pub(crate) scope: Arc<str>,
}

/// A trace of a computation: nodes in the order in which they were made. Building it computes nothing.
///
/// Equal operations on equal inputs are one node, so nothing is computed twice.
pub struct Graph {
    nodes: RefCell<Vec<Node>>,
    known: RefCell<HashMap<(String, Vec<NodeId>), NodeId>>,
    scope: RefCell<Arc<str>>,
}

impl Default for Graph {
    fn default() -> Graph {
        Graph::new()
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph of {} nodes", self.nodes.borrow().len())
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph {
            nodes: RefCell::new(Vec::new()),
            known: RefCell::new(HashMap::new()),
            scope: RefCell::new("".into()),
        }
    }

    /// A tensor that the host writes before each run, by name. The same name is the same node.
    ///
    /// # Panics
    /// When an input of that name has another shape.
    #[track_caller]
    pub fn input(&self, name: &str, shape: impl Into<Shape>) -> Var<'_> {
        self.named("input", NodeKind::Input(name.into()), name, shape.into())
    }

    /// A tensor that keeps its value from run to run, by name. The same name is the same node.
    ///
    /// # Panics
    /// When a variable of that name has another shape.
    #[track_caller]
    pub fn variable(&self, name: &str, shape: impl Into<Shape>) -> Var<'_> {
        self.named("variable", NodeKind::Variable(name.into()), name, shape.into())
    }

    /// A tensor of the given values, row-major.
    ///
    /// # Panics
    /// When there are not as many values as the shape has elements.
    #[track_caller]
    pub fn constant(&self, shape: impl Into<Shape>, values: &[f64]) -> Var<'_> {
        let shape = shape.into();
        assert_eq!(shape.len(), values.len(), "a constant of shape {shape} needs {} values", shape.len());
        self.push(NodeKind::Constant(values.into()), shape)
    }

    /// A tensor with the same value everywhere.
    pub fn fill(&self, shape: impl Into<Shape>, value: f64) -> Var<'_> {
        let shape = shape.into();
        let key = (format!("fill {} {shape}", value.to_bits()), Vec::new());
        self.dedup(key, || NodeKind::Fill(value), shape)
    }

    /// A scalar constant.
    pub fn scalar(&self, value: f64) -> Var<'_> {
        self.fill(Shape::SCALAR, value)
    }

    /// The output of `op` on `inputs`. Errors when the shapes do not fit, naming the operation and them.
    ///
    /// Every method of [`Var`] goes through here; the methods panic where this returns an error.
    pub fn apply<'g>(&'g self, op: impl Operation, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        self.apply_shared(Arc::new(op), inputs)
    }

    pub(crate) fn apply_shared<'g>(&'g self, op: Arc<dyn Operation>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        if let Some(alien) = inputs.iter().find(|x| !std::ptr::eq(x.graph, self)) {
            return Err(Error::new(format!("{}: the operand {alien:?} belongs to another graph", op.name())));
        }
        let shapes: Vec<Shape> = inputs.iter().map(|x| x.shape()).collect();
        let shape = op.shape(&shapes).map_err(|e| e.context(op.name()))?;
        let ids: Vec<NodeId> = inputs.iter().map(|x| x.id).collect();
        let key = (format!("{op:?}"), ids.clone());
        Ok(self.dedup(key, || NodeKind::Operation(op, ids), shape))
    }

    /// Runs `trace` with `name` added to the scope of every node it makes.
    pub fn scoped<R>(&self, name: &str, trace: impl FnOnce() -> R) -> R {
        let outer = self.scope.borrow().clone();
        let inner = if outer.is_empty() { name.into() } else { format!("{outer}/{name}").into() };
        *self.scope.borrow_mut() = inner;
        let result = trace();
        *self.scope.borrow_mut() = outer;
        result
    }

    /// The number of nodes so far.
    pub fn node_count(&self) -> usize {
        self.nodes.borrow().len()
    }

    /// The numbers of all nodes so far, in order.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.node_count()).map(NodeId)
    }

    /// The handle of a node of this graph.
    ///
    /// # Panics
    /// When the graph has no such node.
    pub fn var(&self, id: NodeId) -> Var<'_> {
        assert!(id.0 < self.node_count(), "node {} of a graph with {}", id.0, self.node_count());
        Var { graph: self, id }
    }

    #[track_caller]
    fn named(&self, what: &str, kind: NodeKind, name: &str, shape: Shape) -> Var<'_> {
        let var = self.dedup((format!("{what} {name}"), Vec::new()), || kind, shape);
        assert_eq!(var.shape(), shape, "the {what} '{name}' was made before with another shape");
        var
    }

    fn dedup(&self, key: (String, Vec<NodeId>), kind: impl FnOnce() -> NodeKind, shape: Shape) -> Var<'_> {
        if let Some(&id) = self.known.borrow().get(&key) {
            return Var { graph: self, id };
        }
        let var = self.push(kind(), shape);
        self.known.borrow_mut().insert(key, var.id);
        var
    }

    fn push(&self, kind: NodeKind, shape: Shape) -> Var<'_> {
        let scope = self.scope.borrow().clone();
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { kind, shape, scope });
        Var { graph: self, id: NodeId(nodes.len() - 1) }
    }

    pub(crate) fn snapshot(&self) -> Vec<Node> {
        self.nodes.borrow().clone()
    }
}

/// A node of a graph, as a small handle with the operations as methods.
#[derive(Clone, Copy)]
pub struct Var<'g> {
    graph: &'g Graph,
    id: NodeId,
}

impl PartialEq for Var<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.graph, other.graph) && self.id == other.id
    }
}

impl Eq for Var<'_> {}

impl fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.graph.nodes.borrow();
        let node = &nodes[self.id.0];
        match &node.kind {
            NodeKind::Input(name) => write!(f, "input '{name}' {}", node.shape),
            NodeKind::Variable(name) => write!(f, "variable '{name}' {}", node.shape),
            NodeKind::Fill(value) => write!(f, "{value} {}", node.shape),
            NodeKind::Constant(_) => write!(f, "constant {}", node.shape),
            NodeKind::Operation(op, _) => write!(f, "%{} = {} {}", self.id.0, op.name(), node.shape),
        }
    }
}

impl<'g> Var<'g> {
    /// The graph this belongs to.
    pub fn graph(self) -> &'g Graph {
        self.graph
    }

    /// The number of this node.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// The shape of this tensor.
    pub fn shape(self) -> Shape {
        self.graph.nodes.borrow()[self.id.0].shape
    }

    /// What this node is.
    pub fn kind(self) -> NodeKind {
        self.graph.nodes.borrow()[self.id.0].kind.clone()
    }

    /// The value, if it is a constant that is the same everywhere.
    pub(crate) fn filled(self) -> Option<f64> {
        match self.graph.nodes.borrow()[self.id.0].kind {
            NodeKind::Fill(value) => Some(value),
            _ => None,
        }
    }

    /// `op` on this tensor and `others`.
    ///
    /// # Panics
    /// When the shapes do not fit; [`Graph::apply`] returns that as an error.
    #[track_caller]
    pub(crate) fn with(self, op: impl Operation, others: &[Var<'g>]) -> Var<'g> {
        let mut inputs = vec![self];
        inputs.extend_from_slice(others);
        match self.graph.apply(op, &inputs) {
            Ok(var) => var,
            Err(error) => panic!("{error}"),
        }
    }
}
