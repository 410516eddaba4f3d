//! Operations that only move elements: slices, padding, concatenation, permutation, broadcasting.

use crate::context::Context;
use crate::kernel::{CHUNK, Kernel, Tensors, in_chunks};
use crate::strided::Strided;
use gannet_tensor::{Instruction, MAX_RANK, Shape, ops};

/// Copies `loops` elements of each input (strides: output, input).
struct Movement {
    parts: Vec<Part>,
    /// Elements of the output that are zeroed first, where the parts leave gaps.
    zeroed: usize,
}

struct Part {
    loops: Strided<2>,
    /// The first element written, and the first element read.
    start: [usize; 2],
}

pub(super) fn prepare(instruction: &Instruction) -> Option<Box<dyn Kernel>> {
    let op = &*instruction.op;
    let output = instruction.output.shape;
    let inputs: Vec<Shape> = instruction.inputs.iter().map(|view| view.shape).collect();
    let dense = output.strides();
    let part = |shape: Shape, to: [usize; MAX_RANK], from: [usize; MAX_RANK], start: [usize; 2]| Part {
        loops: Strided::new(shape, [to, from]),
        start,
    };
    let mut zeroed = 0;
    let parts = if let Some(op) = op.downcast::<ops::Slice>() {
        let from = inputs[0].strides();
        vec![part(output, dense, from, [0, op.start * from[op.axis]])]
    } else if let Some(op) = op.downcast::<ops::Pad>() {
        zeroed = output.len();
        vec![part(inputs[0], dense, inputs[0].strides(), [op.before * dense[op.axis], 0])]
    } else if let Some(op) = op.downcast::<ops::Concat>() {
        let mut at = 0;
        let parts = inputs.iter().map(|&x| {
            let start = at * dense[op.axis];
            at += x.dims()[op.axis];
            part(x, dense, x.strides(), [start, 0])
        });
        parts.collect()
    } else if let Some(op) = op.downcast::<ops::Pack>() {
        zeroed = output.len();
        let parts = inputs.iter().zip(&op.offsets);
        parts.map(|(&x, &offset)| part(x, x.strides(), x.strides(), [offset, 0])).collect()
    } else if op.downcast::<ops::Reshape>().is_some() {
        vec![part(output, dense, dense, [0, 0])]
    } else if let Some(op) = op.downcast::<ops::Permute>() {
        let strides = inputs[0].strides();
        let mut from = [0; MAX_RANK];
        for (from, &axis) in from.iter_mut().zip(&op.axes) {
            *from = strides[axis];
        }
        vec![part(output, dense, from, [0, 0])]
    } else if op.downcast::<ops::BroadcastTo>().is_some() {
        vec![part(output, dense, inputs[0].broadcast_strides(output), [0, 0])]
    } else {
        return None;
    };
    Some(Box::new(Movement { parts, zeroed }))
}

impl Kernel for Movement {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        in_chunks(context, self.zeroed, CHUNK, |range| {
            // SAFETY: Kernel::run's contract.
            unsafe { tensors.output.add(range.start).write_bytes(0, range.len()) };
        });
        for (i, part) in self.parts.iter().enumerate() {
            let (len, [to, from]) = part.loops.inner();
            let copy = |run: usize, at: usize, len: usize| {
                let [y, x] = part.loops.start(run);
                let y = tensors.output.wrapping_add(part.start[0] + y + at * to);
                let x = tensors.input(i).wrapping_add(part.start[1] + x + at * from);
                // SAFETY: Kernel::run's contract; the loops stay within the shapes they were made for.
                unsafe {
                    if [to, from] == [1, 1] {
                        x.copy_to_nonoverlapping(y, len);
                    } else {
                        for j in 0..len {
                            *y.add(j * to) = *x.add(j * from);
                        }
                    }
                }
            };
            if part.loops.runs() == 1 {
                in_chunks(context, len, CHUNK, |range| copy(0, range.start, range.len()));
            } else {
                in_chunks(context, part.loops.runs(), (CHUNK / len).max(1), |runs| {
                    for run in runs {
                        copy(run, 0, len);
                    }
                });
            }
        }
    }
}
