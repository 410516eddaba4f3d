//! What an operation has to say about itself: its shape rule, its derivative, its definition.

use std::any::Any;
use std::fmt::Debug;

use gannet_shaders::Launch;

use crate::error::{Error, Result};
use crate::graph::{Graph, Var};
use crate::shape::Shape;

/// A tensor to read: contiguous, row-major.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a, T> {
    /// The elements; as many as the shape has.
    pub data: &'a [T],
    /// The dimensions.
    pub shape: Shape,
}

/// A tensor to write: contiguous, row-major. Every element is written.
#[derive(Debug)]
pub struct TensorMut<'a, T> {
    /// The elements; as many as the shape has.
    pub data: &'a mut [T],
    /// The dimensions.
    pub shape: Shape,
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
        let wanted: Vec<Var<'g>> =
            cx.inputs.iter().zip(cx.wanted).filter(|(_, w)| **w).map(|(x, _)| *x).collect();
        let mut gradients = crate::grad::vjp_within(y, cx.cotangent, &wanted, cx.inputs)?.into_iter();
        Ok(cx.wanted.iter().map(|w| if *w { gradients.next().flatten() } else { None }).collect())
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

/// Implements the two `eval` methods by one generic function `f(op, inputs, output)`.
macro_rules! reference {
    ($function:path) => {
        fn eval_f32(
            &self,
            inputs: &[$crate::operation::TensorRef<'_, f32>],
            output: $crate::operation::TensorMut<'_, f32>,
        ) {
            $function(self, inputs, output);
        }

        fn eval_f64(
            &self,
            inputs: &[$crate::operation::TensorRef<'_, f64>],
            output: $crate::operation::TensorMut<'_, f64>,
        ) {
            $function(self, inputs, output);
        }
    };
}
pub(crate) use reference;
