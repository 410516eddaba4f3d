//! The graph that a computation is traced into, the handles it is traced with, and what an operation in it has to say
//! about itself. Each is defined by the others: a node holds an operation, whose derivative and definition are nodes.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use gannet_shaders::Launch;

use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor_ref::{TensorMut, TensorRef};

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
/// Equal constants, and equal operations on equal inputs, are one node, so nothing is computed twice.
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
        let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        let key = (format!("constant {shape} {bits:?}"), Vec::new());
        self.dedup(key, || NodeKind::Constant(values.into()), shape)
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

/// The gradient of each input of an operation, in order; `None` where the derivative is zero
/// everywhere it exists (labels, masks, comparisons) or was not wanted.
pub type Gradients<'g> = Result<Vec<Option<Var<'g>>>>;

/// What a vector-Jacobian product is computed from.
pub struct Vjp<'a, 'g> {
    /// The operation's inputs.
    pub inputs: &'a [Var<'g>],
    /// Its output.
    pub output: Var<'g>,
    /// The cotangent: d loss / d output.
    pub cotangent: Var<'g>,
    /// Whether the gradient of each input is wanted. Others may be left `None`.
    pub wanted: &'a [bool],
    /// Differentiates the output as a subgraph of the inputs.
    pub(crate) through: fn(Var<'g>, &Vjp<'_, 'g>) -> Gradients<'g>,
}

impl<'g> Vjp<'_, 'g> {
    /// The graph that everything belongs to.
    pub fn graph(&self) -> &'g Graph {
        self.output.graph()
    }

    /// `f()` when input `i` wants a gradient.
    pub fn want(&self, i: usize, f: impl FnOnce() -> Var<'g>) -> Option<Var<'g>> {
        self.wanted[i].then(f)
    }
}

/// An operation of the graph: one output, any number of inputs, no state.
///
/// The parameters of an operation (a stride, a slope) are fields of its type. Two operations with the
/// same `Debug` text on the same inputs are the same node.
pub trait Operation: Any + Debug + Send + Sync {
    /// The name of the operation, as its files are called.
    fn name(&self) -> &'static str;

    /// The shape of the output, or a sentence that says which inputs were expected.
    fn shape(&self, inputs: &[Shape]) -> Result<Shape>;

    /// The vector-Jacobian product, in terms of other operations, so that it can be differentiated
    /// again. The default differentiates the decomposition, and is an error without one.
    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        let y = self
            .decompose(cx.inputs)
            .ok_or_else(|| Error::new(format!("the operation '{}' has no derivative", self.name())))?;
        (cx.through)(y, cx)
    }

    /// The same value as a subgraph of other operations: the definition of a fused operation, its
    /// fallback on backends without a kernel for it, and the source of its derivative.
    fn decompose<'g>(&self, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        None
    }

    /// Floating-point operations of one evaluation, a multiply-add counted as two.
    fn flops(&self, _inputs: &[Shape], output: Shape) -> u64 {
        output.len() as u64
    }

    /// The input whose memory the output may overwrite: element `i` of the output depends, of that
    /// input, on element `i` alone (or is written after every read of it).
    fn in_place(&self) -> Option<usize> {
        None
    }

    /// For an operation that only looks at input 0 in another way: the offset, in elements, at which
    /// its output lies in that input. Views cost nothing.
    fn view(&self, _inputs: &[Shape]) -> Option<usize> {
        None
    }

    /// For an operation that only puts its inputs one after another: the offset of each in the output,
    /// in elements. The planner lets the inputs be computed in place.
    fn pieces(&self, _inputs: &[Shape], _output: Shape) -> Option<Vec<usize>> {
        None
    }

    /// What a GPU has to do for the operation: dispatches as data. `in_place` says that the output takes the
    /// place of the input that [`in_place`](Operation::in_place) names; that input is then bound as the
    /// output alone. `None` where there is no shader for it, which leaves the decomposition.
    fn launch(&self, _inputs: &[Shape], _output: Shape, _in_place: bool) -> Option<Launch> {
        None
    }

    /// Evaluates the operation in `f32` by plain loops from its definition.
    fn eval_f32(&self, inputs: &[TensorRef<'_, f32>], output: TensorMut<'_, f32>);

    /// Evaluates the operation in `f64` by plain loops from its definition.
    fn eval_f64(&self, inputs: &[TensorRef<'_, f64>], output: TensorMut<'_, f64>);
}

impl dyn Operation {
    /// This operation as the concrete type `O`, if it is one.
    pub fn downcast<O: Operation>(&self) -> Option<&O> {
        (self as &dyn Any).downcast_ref()
    }
}
