//! What to run: which nodes are needed, in which order, in which memory.
//!
//! A plan is data. It is made from a graph by
//! 1. fusion (`fuse.rs`), and replacing what a backend has no kernel for by its decomposition,
//! 2. reachability: what no output and no assignment needs is not computed,
//! 3. placement: views (reshape, leading slices) lie in their input; the pieces of a concatenation are
//!    computed where they will lie; an assigned variable is updated in place where nothing reads its old
//!    value later,
//! 4. liveness: temporaries whose lives do not overlap share a buffer.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::fuse;
use crate::graph::{Graph, Node, NodeId, NodeKind, Var};
use crate::operation::Operation;
use crate::ops::CopyTo;
use crate::shape::Shape;

/// Where a tensor lies: `shape.len()` elements of a buffer from `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The number of the buffer.
    pub buffer: usize,
    /// The first element.
    pub offset: usize,
    /// The dimensions.
    pub shape: Shape,
}

impl View {
    /// The elements of the buffer that this tensor takes.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.shape.len()
    }
}

/// What a buffer is for.
#[derive(Clone, Debug, PartialEq)]
pub enum BufferKind {
    /// Keeps its value from run to run; shared by all programs that name it.
    Variable(String),
    /// Written by the host.
    Input(String),
    /// The same value everywhere, written once.
    Fill(f64),
    /// Values known when the graph was traced, written once.
    Constant(Arc<[f64]>),
    /// Written and read within a run. Zero before the first run.
    Temporary,
}

/// A buffer: what for, and how many elements.
#[derive(Clone, Debug, PartialEq)]
pub struct BufferSpec {
    /// What it is for.
    pub kind: BufferKind,
    /// The number of elements.
    pub elements: usize,
}

/// One operation to run: from views to a view. The output lies apart from every input, or is exactly one
/// of them (updated in place, where the operation allows it).
#[derive(Clone, Debug)]
pub struct Instruction {
    /// What to run.
    pub op: Arc<dyn Operation>,
    /// Where its inputs lie.
    pub inputs: Vec<View>,
    /// Where its output goes.
    pub output: View,
    /// The layer it was traced in.
    pub scope: Arc<str>,
    /// The node of the graph whose value this is, or is part of; after fusion the last of them.
    pub node: NodeId,
}

impl Instruction {
    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        let shapes: Vec<Shape> = self.inputs.iter().map(|v| v.shape).collect();
        self.op.flops(&shapes, self.output.shape)
    }

    /// Elements read and written.
    pub fn traffic(&self) -> usize {
        self.inputs.iter().map(|v| v.shape.len()).sum::<usize>() + self.output.shape.len()
    }
}

/// Names what a plan computes, then builds it.
pub struct PlanBuilder<'g> {
    graph: &'g Graph,
    outputs: Vec<(String, Var<'g>)>,
    assignments: Vec<(Var<'g>, Var<'g>)>,
    fusion: bool,
}

impl<'g> PlanBuilder<'g> {
    pub(crate) fn new(graph: &'g Graph) -> PlanBuilder<'g> {
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
    fn schedule(&self) -> Vec<NodeId> {
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

/// What to run, in which order, in which memory.
#[derive(Clone, Debug)]
pub struct Plan {
    trace: Trace,
    instructions: Vec<Instruction>,
    buffers: Vec<BufferSpec>,
    inputs: Vec<(String, View)>,
    variables: Vec<(String, View)>,
    outputs: Vec<(String, View)>,
}

impl Plan {
    /// The instructions, in order.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The buffers; views name them by position.
    pub fn buffers(&self) -> &[BufferSpec] {
        &self.buffers
    }

    /// The inputs: name and shape.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = (&str, Shape)> {
        self.inputs.iter().map(|(name, view)| (name.as_str(), view.shape))
    }

    /// The variables: name and shape.
    pub fn variables(&self) -> impl ExactSizeIterator<Item = (&str, Shape)> {
        self.variables.iter().map(|(name, view)| (name.as_str(), view.shape))
    }

    /// The outputs: name and shape.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = (&str, Shape)> {
        self.outputs.iter().map(|(name, view)| (name.as_str(), view.shape))
    }

    /// Where input `index` lies.
    pub fn input_view(&self, index: usize) -> View {
        self.inputs[index].1
    }

    /// Where variable `index` lies.
    pub fn variable_view(&self, index: usize) -> View {
        self.variables[index].1
    }

    /// Where output `index` lies after a run.
    pub fn output_view(&self, index: usize) -> View {
        self.outputs[index].1
    }

    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        self.instructions.iter().map(Instruction::flops).sum()
    }

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

    /// The plan as a table: operation, shapes, buffers, bytes and FLOPs (for 4-byte elements).
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let place = |v: &View| match &self.buffers[v.buffer].kind {
            BufferKind::Variable(name) | BufferKind::Input(name) => {
                format!(
                    "{name}{}{}",
                    if v.offset > 0 { format!("+{}", v.offset) } else { String::new() },
                    v.shape
                )
            }
            BufferKind::Fill(value) => format!("{value}{}", v.shape),
            BufferKind::Constant(_) => format!("constant{}", v.shape),
            BufferKind::Temporary => {
                format!(
                    "b{}{}{}",
                    v.buffer,
                    if v.offset > 0 { format!("+{}", v.offset) } else { String::new() },
                    v.shape
                )
            }
        };
        let _ =
            writeln!(text, "{:>4}  {:<24} {:>10} {:>10}  output <- inputs", "", "operation", "kFLOP", "kB");
        for (i, instruction) in self.instructions.iter().enumerate() {
            let inputs: Vec<String> = instruction.inputs.iter().map(place).collect();
            let _ = writeln!(
                text,
                "{i:>4}  {:<24} {:>10.1} {:>10.1}  {} <- {}  ({})",
                instruction.op.name(),
                instruction.flops() as f64 / 1e3,
                instruction.traffic() as f64 * 4.0 / 1e3,
                place(&instruction.output),
                inputs.join(", "),
                instruction.scope,
            );
        }
        let bytes = |wanted: fn(&BufferKind) -> bool| {
            self.buffers.iter().filter(|b| wanted(&b.kind)).map(|b| b.elements * 4).sum::<usize>() as f64
                / 1e6
        };
        let _ = writeln!(
            text,
            "{} instructions, {:.3} GFLOP; memory: {:.2} MB of variables, {:.2} MB of inputs, {:.2} MB of temporaries in {} buffers",
            self.instructions.len(),
            self.flops() as f64 / 1e9,
            bytes(|k| matches!(k, BufferKind::Variable(_))),
            bytes(|k| matches!(k, BufferKind::Input(_))),
            bytes(|k| matches!(k, BufferKind::Temporary)),
            self.buffers.iter().filter(|b| b.kind == BufferKind::Temporary).count(),
        );
        text
    }
}

/// Replaces node `i` by the decomposition of its operation, appended to the trace.
fn decompose(trace: &mut Trace, i: usize, op: &dyn Operation, inputs: &[NodeId]) -> Result<()> {
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

/// A piece of memory while it is planned: the value of one node, or of several that share it.
#[derive(Clone, Debug)]
struct Base {
    kind: BufferKind,
    elements: usize,
    /// Gaps between pieces must stay zero, so no other value may use the memory.
    dedicated: bool,
}

/// How many times larger than a value the free buffer may be that it is put into.
const MOST_SLACK: usize = 16;

struct Placement<'t> {
    trace: &'t Trace,
    order: &'t [NodeId],
    /// Position of each node in `order`.
    position: Vec<Option<usize>>,
    bases: Vec<Base>,
    /// Base and offset of each node's value.
    place: Vec<Option<(usize, usize)>>,
    /// Nodes that own the base they were given at first (operations that are no views).
    fresh: Vec<bool>,
    /// Copies to make before the run ends: (assigned value, variable).
    copies: Vec<(NodeId, NodeId)>,
}

impl<'t> Placement<'t> {
    fn new(trace: &'t Trace, order: &'t [NodeId]) -> Placement<'t> {
        let mut position = vec![None; trace.nodes.len()];
        for (i, id) in order.iter().enumerate() {
            position[id.0] = Some(i);
        }
        let count = trace.nodes.len();
        Placement {
            trace,
            order,
            position,
            bases: Vec::new(),
            place: vec![None; count],
            fresh: vec![false; count],
            copies: Vec::new(),
        }
    }

    fn node(&self, id: NodeId) -> &'t Node {
        &self.trace.nodes[id.0]
    }

    fn operation(&self, id: NodeId) -> Option<(&'t Arc<dyn Operation>, &'t [NodeId])> {
        match &self.node(id).kind {
            NodeKind::Operation(op, inputs) => Some((op, inputs)),
            _ => None,
        }
    }

    fn shapes(&self, inputs: &[NodeId]) -> Vec<Shape> {
        inputs.iter().map(|id| self.node(*id).shape).collect()
    }

    fn is_view(&self, id: NodeId) -> bool {
        self.operation(id).is_some_and(|(op, inputs)| op.view(&self.shapes(inputs)).is_some())
    }

    fn add_base(&mut self, kind: BufferKind, elements: usize) -> usize {
        self.bases.push(Base { kind, elements, dedicated: false });
        self.bases.len() - 1
    }

    /// Gives every node a place: its own, or within its input where it is a view; then moves the pieces
    /// of concatenations to where they belong.
    fn place_views_and_pieces(&mut self) {
        for &id in self.order {
            let node = self.node(id);
            let place = match &node.kind {
                NodeKind::Input(name) => {
                    (self.add_base(BufferKind::Input(name.clone()), node.shape.len()), 0)
                }
                NodeKind::Variable(name) => {
                    (self.add_base(BufferKind::Variable(name.clone()), node.shape.len()), 0)
                }
                NodeKind::Fill(value) => (self.add_base(BufferKind::Fill(*value), node.shape.len()), 0),
                NodeKind::Constant(values) => {
                    (self.add_base(BufferKind::Constant(values.clone()), node.shape.len()), 0)
                }
                NodeKind::Operation(op, inputs) => match op.view(&self.shapes(inputs)) {
                    Some(offset) => {
                        let (base, start) = self.place_of(inputs[0]);
                        (base, start + offset)
                    }
                    None => {
                        self.fresh[id.0] = true;
                        (self.add_base(BufferKind::Temporary, node.shape.len()), 0)
                    }
                },
            };
            self.place[id.0] = Some(place);
        }
        for &id in self.order {
            let Some((op, inputs)) = self.operation(id) else { continue };
            let Some(offsets) = op.pieces(&self.shapes(inputs), self.node(id).shape) else { continue };
            let (whole, start) = self.place_of(id);
            let covered: usize = inputs.iter().map(|i| self.node(*i).shape.len()).sum();
            self.bases[whole].dedicated |= covered != self.node(id).shape.len();
            for (&piece, offset) in inputs.iter().zip(offsets) {
                // What is put down twice, as a whole or in part, cannot lie in both places.
                let base = self.place_of(piece).0;
                if inputs.iter().filter(|i| self.place_of(**i).0 == base).count() == 1 {
                    self.move_piece(piece, id, whole, start + offset);
                }
            }
        }
    }

    /// Lets `piece` of the concatenation `into` be computed at `offset` of its base `whole`, where that is
    /// possible.
    fn move_piece(&mut self, piece: NodeId, into: NodeId, whole: usize, offset: usize) {
        let (base, start) = self.place_of(piece);
        // A value that fills a base of its own (perhaps seen through reshapes).
        if base == whole
            || start != 0
            || self.bases[base].kind != BufferKind::Temporary
            || self.bases[base].elements != self.node(piece).shape.len()
            || self.bases[base].dedicated
        {
            return;
        }
        // No instruction may read one piece while it writes another: devices bind whole buffers.
        let members = self.order.iter().filter(|id| self.place_of(**id).0 == base && self.fresh[id.0]);
        for member in members {
            let reads_whole = self
                .operation(*member)
                .is_some_and(|(_, inputs)| inputs.iter().any(|i| self.place_of(*i).0 == whole));
            if reads_whole {
                return;
            }
        }
        let readers_write_whole = self.order.iter().any(|id| {
            self.fresh[id.0]
                && *id != into
                && self.place_of(*id).0 == whole
                && self
                    .operation(*id)
                    .is_some_and(|(_, inputs)| inputs.iter().any(|i| self.place_of(*i).0 == base))
        });
        if readers_write_whole {
            return;
        }
        for place in self.place.iter_mut().flatten() {
            if place.0 == base {
                *place = (whole, place.1 + offset);
            }
        }
    }

    fn place_of(&self, id: NodeId) -> (usize, usize) {
        self.place[id.0].unwrap_or_else(|| unreachable!("node {} is placed before its users", id.0))
    }

    /// Position of the last instruction that reads the value of `id`, directly or through views.
    fn last_read(&self, id: NodeId) -> Option<usize> {
        let mut aliases = BTreeSet::from([id]);
        let mut last = None;
        for (position, &user) in self.order.iter().enumerate() {
            let Some((_, inputs)) = self.operation(user) else { continue };
            if inputs.iter().any(|i| aliases.contains(i)) {
                let aliased = |i: &NodeId| aliases.contains(i);
                if self.is_view(user) && aliased(&inputs[0]) {
                    aliases.insert(user);
                } else {
                    last = Some(position);
                }
            }
        }
        if self.trace.roots().any(|root| aliases.contains(&root)) {
            last = Some(usize::MAX);
        }
        last
    }

    /// Computes assigned values where their variables lie, if nothing reads the old value later.
    fn place_assignments(&mut self) {
        for &(target, value) in &self.trace.assignments {
            if target == value {
                continue;
            }
            let direct = self.position[target.0].is_none_or(|_| self.may_overwrite(target, value));
            let fills_base = self.fresh[value.0] && {
                let (base, _) = self.place_of(value);
                self.bases[base].kind == BufferKind::Temporary
                    && self.bases[base].elements == self.node(value).shape.len()
                    && !self.bases[base].dedicated
            };
            let variable = self.variable_base(target);
            if direct && fills_base {
                self.move_base(self.place_of(value).0, variable);
                let mut last = value;
                while let Some(earlier) = self.earlier_value(target, last) {
                    self.move_base(self.place_of(earlier).0, variable);
                    last = earlier;
                }
            } else {
                self.copies.push((value, target));
            }
        }
    }

    fn move_base(&mut self, from: usize, to: usize) {
        for place in self.place.iter_mut().flatten() {
            if place.0 == from {
                place.0 = to;
            }
        }
    }

    /// What `value`, which lies in the memory of the variable `target`, is an update in place of, if that may lie
    /// there too: a variable may be updated more than once in a run.
    fn earlier_value(&self, target: NodeId, value: NodeId) -> Option<NodeId> {
        let (op, inputs) = self.operation(value)?;
        let earlier = inputs[op.in_place()?];
        let base = self.place_of(earlier).0;
        let spec = &self.bases[base];
        let alone = self.fresh[earlier.0]
            && spec.kind == BufferKind::Temporary
            && spec.elements == self.node(earlier).shape.len()
            && spec.elements == self.node(target).shape.len()
            && !spec.dedicated;
        let read_once = inputs.iter().filter(|i| self.place_of(**i).0 == base).count() == 1;
        let dead = self.last_read(earlier) == self.position[value.0];
        let unused = self.position[target.0].is_none() || self.may_overwrite(target, earlier);
        (alone && read_once && dead && unused).then_some(earlier)
    }

    /// The base of a variable, also of one that is only assigned to.
    fn variable_base(&mut self, target: NodeId) -> usize {
        if let Some((base, _)) = self.place[target.0] {
            return base;
        }
        let NodeKind::Variable(name) = self.node(target).kind.clone() else {
            unreachable!("only variables are assigned to")
        };
        let base = self.add_base(BufferKind::Variable(name), self.node(target).shape.len());
        self.place[target.0] = Some((base, 0));
        base
    }

    /// Whether `value` may be written over the memory of `target` when it is computed.
    fn may_overwrite(&self, target: NodeId, value: NodeId) -> bool {
        let Some((op, inputs)) = self.operation(value) else { return false };
        let Some(at) = self.position[value.0] else { return false };
        let last_read = self.last_read(target);
        // Pieces of the value are written before the value is complete.
        let whole = self.place_of(value).0;
        let pieces = self
            .order
            .iter()
            .enumerate()
            .filter(|(_, id)| **id != value && self.fresh[id.0] && self.place_of(**id).0 == whole);
        if last_read.is_some_and(|last| pieces.into_iter().any(|(position, _)| position <= last)) {
            return false;
        }
        match last_read {
            None => true,
            Some(last) if last < at => true,
            // The operation itself reads the old value: only element by element.
            Some(last) if last == at => {
                let reads: Vec<usize> = (0..inputs.len())
                    .filter(|&i| self.place_of(inputs[i]).0 == self.place_of(target).0)
                    .collect();
                reads.len() == 1 && op.in_place() == Some(reads[0]) && inputs[reads[0]] == target
            }
            Some(_) => false,
        }
    }

    /// Lets an operation overwrite an input that nothing reads afterwards.
    fn place_in_place(&mut self) {
        for (position, &id) in self.order.iter().enumerate() {
            let Some((op, inputs)) = self.operation(id) else { continue };
            let Some(index) = op.in_place() else { continue };
            if !self.fresh[id.0] {
                continue;
            }
            let input = inputs[index];
            let ((base, start), (own, offset)) = (self.place_of(input), self.place_of(id));
            let alone = |base: usize, shape: Shape| {
                self.bases[base].kind == BufferKind::Temporary
                    && self.bases[base].elements == shape.len()
                    && !self.bases[base].dedicated
            };
            let same_size = self.node(input).shape.len() == self.node(id).shape.len();
            let read_twice =
                inputs.iter().enumerate().any(|(i, x)| i != index && self.place_of(*x).0 == base);
            if own == base || !same_size || read_twice || start != 0 || offset != 0
                || !alone(base, self.node(input).shape)
                || !alone(own, self.node(id).shape)
                // Every value in the input's memory must be dead, not only the one that is read here.
                || self.order.iter().any(|x| {
                    self.place_of(*x).0 == base && self.fresh[x.0] && self.last_read(*x).is_some_and(|l| l > position)
                })
            {
                continue;
            }
            for place in self.place.iter_mut().flatten() {
                if place.0 == own {
                    place.0 = base;
                }
            }
        }
    }

    fn view(&self, id: NodeId) -> (usize, usize, Shape) {
        let (base, offset) = self.place_of(id);
        (base, offset, self.node(id).shape)
    }

    /// Emits instructions over bases, then shares buffers between temporaries.
    fn finish(mut self) -> Plan {
        let mut emitted: Vec<Instruction> = Vec::new();
        let view = |(buffer, offset, shape): (usize, usize, Shape)| View { buffer, offset, shape };
        let trace = self.trace;
        let copy = |from: View, to: View, node: NodeId| Instruction {
            op: Arc::new(CopyTo),
            inputs: vec![from],
            output: to,
            scope: trace.nodes[node.0].scope.clone(),
            node,
        };
        for &id in self.order {
            let Some((op, inputs)) = self.operation(id) else { continue };
            if self.is_view(id) {
                continue;
            }
            let node = self.node(id);
            let whole = view(self.view(id));
            let shapes = self.shapes(inputs);
            if let Some(offsets) = op.pieces(&shapes, node.shape) {
                // Only the pieces that could not be computed in place are copied.
                for (&piece, offset) in inputs.iter().zip(offsets) {
                    let from = view(self.view(piece));
                    let to = View { offset: whole.offset + offset, shape: from.shape, ..whole };
                    if from != to {
                        emitted.push(copy(from, to, id));
                    }
                }
                continue;
            }
            let inputs = inputs.iter().map(|i| view(self.view(*i))).collect();
            emitted.push(Instruction {
                op: op.clone(),
                inputs,
                output: whole,
                scope: node.scope.clone(),
                node: id,
            });
        }
        // Values that lie in a variable which is about to be overwritten are moved away first.
        let copies = std::mem::take(&mut self.copies);
        let overwritten: BTreeSet<usize> =
            copies.iter().map(|(_, target)| self.place_of(*target).0).collect();
        let mut rescued: HashMap<NodeId, View> = HashMap::new();
        let asked =
            self.trace.outputs.iter().map(|(_, id)| *id).chain(copies.iter().map(|(value, _)| *value));
        for id in asked {
            let from = view(self.view(id));
            if overwritten.contains(&from.buffer) && !rescued.contains_key(&id) {
                let base = self.add_base(BufferKind::Temporary, from.shape.len());
                let to = View { buffer: base, offset: 0, shape: from.shape };
                emitted.push(copy(from, to, id));
                rescued.insert(id, to);
            }
        }
        for (value, target) in copies {
            let from = rescued.get(&value).copied().unwrap_or_else(|| view(self.view(value)));
            emitted.push(copy(from, view(self.view(target)), value));
        }
        let outputs = self.trace.outputs.iter();
        let outputs = outputs
            .map(|(name, id)| {
                let at = rescued.get(id).copied().unwrap_or_else(|| view(self.view(*id)));
                (name.clone(), at)
            })
            .collect();
        self.share(emitted, outputs)
    }

    /// Maps bases to buffers: temporaries whose lives do not overlap share one.
    fn share(self, mut instructions: Vec<Instruction>, mut outputs: Vec<(String, View)>) -> Plan {
        let mut first: HashMap<usize, usize> = HashMap::new();
        let mut last: HashMap<usize, usize> = HashMap::new();
        for (i, instruction) in instructions.iter().enumerate() {
            for v in instruction.inputs.iter().chain([&instruction.output]) {
                first.entry(v.buffer).or_insert(i);
                last.insert(v.buffer, i);
            }
        }
        for (_, v) in &outputs {
            first.entry(v.buffer).or_insert(0);
            last.insert(v.buffer, usize::MAX);
        }
        let mut buffers: Vec<BufferSpec> = Vec::new();
        let mut number: HashMap<usize, usize> = HashMap::new();
        let mut inputs = Vec::new();
        let mut variables = Vec::new();
        // Everything that lives across runs, in the order of the trace.
        for (base, spec) in self.bases.iter().enumerate() {
            if !first.contains_key(&base) || spec.kind == BufferKind::Temporary {
                continue;
            }
            let buffer = buffers.len();
            buffers.push(BufferSpec { kind: spec.kind.clone(), elements: spec.elements });
            number.insert(base, buffer);
            let shape = |wanted: &NodeKind| {
                self.trace.nodes.iter().find(|n| match (&n.kind, wanted) {
                    (NodeKind::Input(a), NodeKind::Input(b)) => a == b,
                    (NodeKind::Variable(a), NodeKind::Variable(b)) => a == b,
                    _ => false,
                })
            };
            match &spec.kind {
                BufferKind::Input(name) => {
                    if let Some(node) = shape(&NodeKind::Input(name.clone())) {
                        inputs.push((name.clone(), View { buffer, offset: 0, shape: node.shape }));
                    }
                }
                BufferKind::Variable(name) => {
                    if let Some(node) = shape(&NodeKind::Variable(name.clone())) {
                        variables.push((name.clone(), View { buffer, offset: 0, shape: node.shape }));
                    }
                }
                _ => {}
            }
        }
        let mut free: Vec<usize> = Vec::new();
        for (i, instruction) in instructions.iter().enumerate() {
            let touched: BTreeSet<usize> =
                instruction.inputs.iter().chain([&instruction.output]).map(|v| v.buffer).collect();
            for &base in &touched {
                if number.contains_key(&base) {
                    continue;
                }
                let elements = self.bases[base].elements;
                // The smallest free buffer that is large enough, else the largest, which grows. Not one that
                // is far too large: a scalar in it would send the next large value to new memory.
                let best = if self.bases[base].dedicated {
                    None
                } else {
                    let suits = |&b: &usize| buffers[b].elements <= elements.saturating_mul(MOST_SLACK);
                    let free = free.iter().copied().filter(suits);
                    let fitting = free.clone().filter(|&b| buffers[b].elements >= elements);
                    fitting
                        .min_by_key(|&b| (buffers[b].elements, b))
                        .or_else(|| free.max_by_key(|&b| (buffers[b].elements, b)))
                };
                let buffer = match best {
                    Some(buffer) => {
                        free.retain(|&b| b != buffer);
                        buffers[buffer].elements = buffers[buffer].elements.max(elements);
                        buffer
                    }
                    None => {
                        buffers.push(BufferSpec { kind: BufferKind::Temporary, elements });
                        buffers.len() - 1
                    }
                };
                number.insert(base, buffer);
            }
            for base in touched {
                let temporary = self.bases[base].kind == BufferKind::Temporary && !self.bases[base].dedicated;
                if temporary && last[&base] == i {
                    free.push(number[&base]);
                }
            }
        }
        let renumber = |v: &mut View| v.buffer = number[&v.buffer];
        for instruction in &mut instructions {
            instruction.inputs.iter_mut().for_each(renumber);
            renumber(&mut instruction.output);
        }
        outputs.iter_mut().for_each(|(_, v)| renumber(v));
        Plan { trace: self.trace.clone(), instructions, buffers, inputs, variables, outputs }
    }
}
