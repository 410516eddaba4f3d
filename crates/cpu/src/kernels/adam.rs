//! The optimisers: one pass over parameters, moments and gradients, in place.

use crate::context::Context;
use crate::kernel::{CHUNK, Kernel, Tensors, in_chunks};
use crate::simd::{Job, Simd};
use gannet_tensor::{Instruction, ops};

pub(super) fn prepare(instruction: &Instruction) -> Option<Box<dyn Kernel>> {
    let n = instruction.inputs.get(1)?.shape.len();
    if let Some(op) = instruction.op.downcast::<ops::Adam>() {
        let decays = [op.beta1, 1.0 - op.beta1, op.beta2, 1.0 - op.beta2].map(|x| x as f32);
        return Some(Box::new(Adam { n, decays }));
    }
    let op = instruction.op.downcast::<ops::Sgd>()?;
    Some(Box::new(Sgd { n, momentum: op.momentum as f32 }))
}

struct Adam {
    n: usize,
    /// beta1, 1 - beta1, beta2, 1 - beta2.
    decays: [f32; 4],
}

impl Kernel for Adam {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        in_chunks(context, self.n, CHUNK / 4, |range| {
            // SAFETY: Kernel::run's contract; each task has a range of its own.
            unsafe { context.isa.run(AdamJob { adam: self, tensors, range }) };
        });
    }
}

struct AdamJob<'a> {
    adam: &'a Adam,
    tensors: &'a Tensors<'a>,
    range: std::ops::Range<usize>,
}

impl Job for AdamJob<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let (state, g, new) = (self.tensors.input(0), self.tensors.input(1), self.tensors.output);
        // SAFETY: the scalars are two elements.
        let (step, eps) = unsafe { (*self.tensors.input(2), *self.tensors.input(2).add(1)) };
        let (step, eps) = (V::splat(step), V::splat(eps));
        let [beta1, rest1, beta2, rest2] = self.adam.decays;
        let (beta1, rest1) = (V::splat(beta1), V::splat(rest1));
        let (beta2, rest2) = (V::splat(beta2), V::splat(rest2));
        let n = self.adam.n;
        let mut i = self.range.start;
        while i < self.range.end {
            let lanes = V::LANES.min(self.range.end - i);
            // SAFETY: i + lanes <= n; a state has 3 n elements, and is read before it is written.
            unsafe {
                let g = V::load_first(g.add(i), lanes);
                let m = V::load_first(state.add(n + i), lanes).mul_add(beta1, g.mul(rest1));
                let v = V::load_first(state.add(2 * n + i), lanes).mul_add(beta2, g.mul(g).mul(rest2));
                let p = V::load_first(state.add(i), lanes).sub(step.mul(m).div(v.sqrt().add(eps)));
                p.store_first(new.add(i), lanes);
                m.store_first(new.add(n + i), lanes);
                v.store_first(new.add(2 * n + i), lanes);
            }
            i += lanes;
        }
    }
}

struct Sgd {
    n: usize,
    momentum: f32,
}

impl Kernel for Sgd {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        in_chunks(context, self.n, CHUNK / 2, |range| {
            // SAFETY: Kernel::run's contract; each task has a range of its own.
            unsafe { context.isa.run(SgdJob { sgd: self, tensors, range }) };
        });
    }
}

struct SgdJob<'a> {
    sgd: &'a Sgd,
    tensors: &'a Tensors<'a>,
    range: std::ops::Range<usize>,
}

impl Job for SgdJob<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let (state, g, new) = (self.tensors.input(0), self.tensors.input(1), self.tensors.output);
        // SAFETY: the scalar is one element.
        let lr = V::splat(unsafe { *self.tensors.input(2) });
        let (momentum, n) = (V::splat(self.sgd.momentum), self.sgd.n);
        let mut i = self.range.start;
        while i < self.range.end {
            let lanes = V::LANES.min(self.range.end - i);
            // SAFETY: i + lanes <= n; a state has 2 n elements, and is read before it is written.
            unsafe {
                let velocity =
                    V::load_first(state.add(n + i), lanes).mul_add(momentum, V::load_first(g.add(i), lanes));
                V::load_first(state.add(i), lanes).sub(lr.mul(velocity)).store_first(new.add(i), lanes);
                velocity.store_first(new.add(n + i), lanes);
            }
            i += lanes;
        }
    }
}
