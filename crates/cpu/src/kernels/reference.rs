//! Operations without a fast kernel: their reference loops, on one thread.

use crate::context::{Context, Workspace};
use crate::kernel::{Kernel, Tensors};
use gannet_tensor::{Instruction, Operation, Shape, TensorMut, TensorRef};
use std::sync::Arc;

pub(super) struct ByReference {
    op: Arc<dyn Operation>,
    inputs: Vec<Shape>,
    output: Shape,
}

impl ByReference {
    pub(super) fn new(instruction: &Instruction) -> ByReference {
        ByReference {
            op: instruction.op.clone(),
            inputs: instruction.inputs.iter().map(|view| view.shape).collect(),
            output: instruction.output.shape,
        }
    }
}

/// Inputs whose tensors fit on the stack.
const FEW: usize = 8;

impl Kernel for ByReference {
    fn is_reference(&self) -> bool {
        true
    }

    fn workspace(&self) -> Workspace {
        // Room for an input that the output overwrites: the reference reads and writes separate slices.
        Workspace { shared: if self.op.in_place().is_some() { self.output.len() } else { 0 }, own: 0 }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensor = |i: usize| {
            let (mut p, shape) = (tensors.input(i), self.inputs[i]);
            if std::ptr::eq(p, tensors.output) && shape.len() > 0 {
                let copy = context.shared().at(0);
                // SAFETY: only the input that may be overwritten lies at the output; the workspace has room.
                unsafe { p.copy_to_nonoverlapping(copy, shape.len()) };
                p = copy;
            }
            // SAFETY: the caller vouches for the shape; nothing writes the input during the evaluation.
            TensorRef { data: unsafe { std::slice::from_raw_parts(p, shape.len()) }, shape }
        };
        // SAFETY: the caller vouches for the output, which no input overlaps now.
        let data = unsafe { std::slice::from_raw_parts_mut(tensors.output, self.output.len()) };
        let output = TensorMut { data, shape: self.output };
        let count = self.inputs.len();
        if count <= FEW {
            let few: [_; FEW] = std::array::from_fn(|i| {
                if i < count { tensor(i) } else { TensorRef { data: &[], shape: Shape::SCALAR } }
            });
            self.op.eval_f32(&few[..count], output);
        } else {
            let many: Vec<_> = (0..count).map(tensor).collect();
            self.op.eval_f32(&many, output);
        }
    }
}
