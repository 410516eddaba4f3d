//! What to run: which nodes are needed, in which order, in which memory.
//!
//! A plan is data. It is made from a graph ([`builder`]) by
//! 1. fusion (`fuse.rs`), and replacing what a backend has no kernel for by its decomposition,
//! 2. reachability ([`trace`]): what no output and no assignment needs is not computed,
//! 3. placement ([`placement`]): views (reshape, leading slices) lie in their input; the pieces of a concatenation are
//!    computed where they will lie; an assigned variable is updated in place where nothing reads its old
//!    value later,
//! 4. liveness ([`sharing`]): temporaries whose lives do not overlap share a buffer,
//! 5. where programs are run in turn ([`scratch`]): temporaries lie in memory that all of them use.

mod builder;
mod explain;
mod placement;
mod scratch;
mod sharing;
mod trace;

use std::sync::Arc;

use crate::graph::{NodeId, Operation};
use crate::shape::Shape;
pub use builder::PlanBuilder;
pub(crate) use trace::Trace;

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
    /// Whether what a run leaves there matters afterwards. That of most temporaries does not; outputs and the zeros between
    /// packed pieces stay.
    pub lasting: bool,
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
}
