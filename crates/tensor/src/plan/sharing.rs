//! Liveness: temporaries whose lives do not overlap share a buffer.

use std::collections::{BTreeSet, HashMap};

use super::placement::Placement;
use super::{BufferKind, BufferSpec, Instruction, Plan, View};
use crate::graph::NodeKind;

/// How many times larger than a value the free buffer may be that it is put into.
const MOST_SLACK: usize = 16;

impl Placement<'_> {
    /// Maps bases to buffers: temporaries whose lives do not overlap share one.
    pub(super) fn share(self, mut instructions: Vec<Instruction>, mut outputs: Vec<(String, View)>) -> Plan {
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
        let (mut input_shapes, mut variable_shapes) = (HashMap::new(), HashMap::new());
        for node in &self.trace.nodes {
            match &node.kind {
                NodeKind::Input(name) => _ = input_shapes.entry(name.as_str()).or_insert(node.shape),
                NodeKind::Variable(name) => _ = variable_shapes.entry(name.as_str()).or_insert(node.shape),
                _ => {}
            }
        }
        // Everything that lives across runs, in the order of the trace.
        for (base, spec) in self.bases.iter().enumerate() {
            if !first.contains_key(&base) || spec.kind == BufferKind::Temporary {
                continue;
            }
            let buffer = buffers.len();
            buffers.push(BufferSpec { kind: spec.kind.clone(), elements: spec.elements, lasting: true });
            number.insert(base, buffer);
            let (list, shapes, name) = match &spec.kind {
                BufferKind::Input(name) => (&mut inputs, &input_shapes, name),
                BufferKind::Variable(name) => (&mut variables, &variable_shapes, name),
                _ => continue,
            };
            if let Some(&shape) = shapes.get(name.as_str()) {
                list.push((name.clone(), View { buffer, offset: 0, shape }));
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
                        let lasting = self.bases[base].dedicated;
                        buffers.push(BufferSpec { kind: BufferKind::Temporary, elements, lasting });
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
        for (_, v) in &mut outputs {
            renumber(v);
            buffers[v.buffer].lasting = true;
        }
        Plan { trace: self.trace.clone(), instructions, buffers, inputs, variables, outputs }
    }
}
