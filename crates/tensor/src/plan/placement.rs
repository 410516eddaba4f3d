//! Which memory each value is given, and the copies that remain.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::trace::Trace;
use super::{BufferKind, Instruction, Plan, View};
use crate::graph::{Node, NodeId, NodeKind, Operation};
use crate::ops::CopyTo;
use crate::shape::Shape;

/// A piece of memory while it is planned: the value of one node, or of several that share it.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) kind: BufferKind,
    pub(super) elements: usize,
    /// Gaps between pieces must stay zero, so no other value may use the memory.
    pub(super) dedicated: bool,
    /// The nodes whose values lie here.
    members: Vec<NodeId>,
    /// Position of the last instruction that reads one of the values which were given this memory or moved to it.
    last_read: Option<usize>,
}

pub(super) struct Placement<'t> {
    pub(super) trace: &'t Trace,
    order: &'t [NodeId],
    /// Position of each node in `order`.
    position: Vec<Option<usize>>,
    /// Position of the last instruction that reads the value of each node, directly or through views; `usize::MAX`
    /// for what is read after the run.
    last_read: Vec<Option<usize>>,
    /// The operations that read each node.
    readers: Vec<Vec<NodeId>>,
    pub(super) bases: Vec<Base>,
    /// Base and offset of each node's value.
    place: Vec<Option<(usize, usize)>>,
    /// Nodes that own the base they were given at first (operations that are no views).
    fresh: Vec<bool>,
    /// Copies to make before the run ends: (assigned value, variable).
    copies: Vec<(NodeId, NodeId)>,
}

impl<'t> Placement<'t> {
    pub(super) fn new(trace: &'t Trace, order: &'t [NodeId]) -> Placement<'t> {
        let count = trace.nodes.len();
        let mut position = vec![None; count];
        for (i, id) in order.iter().enumerate() {
            position[id.0] = Some(i);
        }
        let mut placement = Placement {
            trace,
            order,
            position,
            last_read: vec![None; count],
            readers: vec![Vec::new(); count],
            bases: Vec::new(),
            place: vec![None; count],
            fresh: vec![false; count],
            copies: Vec::new(),
        };
        placement.find_readers();
        placement
    }

    /// Fills in `last_read` and `readers`, from the last operation to the first: what reads a view reads its input.
    fn find_readers(&mut self) {
        for root in self.trace.roots() {
            self.last_read[root.0] = Some(usize::MAX);
        }
        for (position, &user) in self.order.iter().enumerate().rev() {
            let Some((_, inputs)) = self.operation(user) else { continue };
            let view = self.is_view(user);
            for (i, input) in inputs.iter().enumerate() {
                let read = if view && i == 0 { self.last_read[user.0] } else { Some(position) };
                self.last_read[input.0] = self.last_read[input.0].max(read);
                if self.readers[input.0].last() != Some(&user) {
                    self.readers[input.0].push(user);
                }
            }
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
        self.bases.push(Base { kind, elements, dedicated: false, members: Vec::new(), last_read: None });
        self.bases.len() - 1
    }

    /// Gives every node a place: its own, or within its input where it is a view; then moves the pieces
    /// of concatenations to where they belong.
    pub(super) fn place_views_and_pieces(&mut self) {
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
            self.bases[place.0].members.push(id);
            if self.fresh[id.0] {
                self.bases[place.0].last_read = self.last_read[id.0];
            }
        }
        for &id in self.order {
            let Some((op, inputs)) = self.operation(id) else { continue };
            let Some(offsets) = op.pieces(&self.shapes(inputs), self.node(id).shape) else { continue };
            let (whole, start) = self.place_of(id);
            let covered: usize = inputs.iter().map(|i| self.node(*i).shape.len()).sum();
            self.bases[whole].dedicated |= covered != self.node(id).shape.len();
            // What is put down twice, as a whole or in part, cannot lie in both places.
            let mut count: HashMap<usize, usize> = HashMap::new();
            for input in inputs {
                *count.entry(self.place_of(*input).0).or_default() += 1;
            }
            for (&piece, offset) in inputs.iter().zip(offsets) {
                if count.get(&self.place_of(piece).0) == Some(&1) {
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
        let lies_in = |id: &NodeId, base: usize| self.place_of(*id).0 == base;
        for member in &self.bases[base].members {
            let reads_whole = self.fresh[member.0]
                && self
                    .operation(*member)
                    .is_some_and(|(_, inputs)| inputs.iter().any(|i| lies_in(i, whole)));
            let readers = &self.readers[member.0];
            if reads_whole || readers.iter().any(|id| self.fresh[id.0] && *id != into && lies_in(id, whole)) {
                return;
            }
        }
        self.move_base(base, whole, offset);
    }

    fn place_of(&self, id: NodeId) -> (usize, usize) {
        self.place[id.0].unwrap_or_else(|| unreachable!("node {} is placed before its users", id.0))
    }

    /// Computes assigned values where their variables lie, if nothing reads the old value later.
    pub(super) fn place_assignments(&mut self) {
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
                self.move_base(self.place_of(value).0, variable, 0);
                let mut last = value;
                while let Some(earlier) = self.earlier_value(target, last) {
                    self.move_base(self.place_of(earlier).0, variable, 0);
                    last = earlier;
                }
            } else {
                self.copies.push((value, target));
            }
        }
    }

    /// Lets all that lies in one base lie in another, from an offset on.
    fn move_base(&mut self, from: usize, to: usize, offset: usize) {
        let members = std::mem::take(&mut self.bases[from].members);
        for member in &members {
            if let Some(place) = &mut self.place[member.0] {
                *place = (to, place.1 + offset);
            }
        }
        let last_read = self.bases[from].last_read;
        self.bases[to].last_read = self.bases[to].last_read.max(last_read);
        self.bases[to].members.extend(members);
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
        let dead = self.last_read[earlier.0] == self.position[value.0];
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
        let last_read = self.last_read[target.0];
        // Pieces of the value are written before the value is complete.
        let whole = self.place_of(value).0;
        let members = self.bases[whole].members.iter().filter(|id| **id != value && self.fresh[id.0]);
        let first = members.filter_map(|id| self.position[id.0]).min();
        if first.is_some_and(|first| last_read.is_some_and(|last| first <= last)) {
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
    pub(super) fn place_in_place(&mut self) {
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
                || self.bases[base].last_read.is_some_and(|last| last > position)
            {
                continue;
            }
            self.move_base(own, base, 0);
        }
    }

    fn view(&self, id: NodeId) -> (usize, usize, Shape) {
        let (base, offset) = self.place_of(id);
        (base, offset, self.node(id).shape)
    }

    /// Emits instructions over bases, then shares buffers between temporaries.
    pub(super) fn finish(mut self) -> Plan {
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
}
