//! After the first run of a program, nothing is allocated: counted by the allocator of this test.

use gannet_cpu::Cpu;
use gannet_tensor::{Graph, Padding, Program, Shape, Var, Variables, grad};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A small network with everything that the reference step has, trained by Adam.
#[test]
fn no_allocation_after_the_first_step() {
    let (w, v) = (Shape::from([4, 4, 1, 24]), Shape::from([24 * 7 * 7 * 4, 1]));
    let len = (w.len() + v.len()).next_multiple_of(64);
    let graph = Graph::new();
    let state = graph.variable("state", [3, len]);
    let row = state.slice(0, 0, 1).reshape([len]);
    let kernel = row.slice(0, 0, w.len()).reshape(w);
    let dense = row.slice(0, w.len(), w.len() + v.len()).reshape(v);
    let real = graph.input("x", [3, 28, 28, 1]);
    let both = Var::concat(&[real, real.affine(0.5, 0.1)], 0);
    let x = both.conv2d(kernel, [2, 2], Padding::Same);
    let x = x.batch_norm_train(graph.fill([24], 1.0), graph.fill([24], 0.0), 1e-3, 2).0.leaky_relu(0.2);
    let image = x.conv_transpose2d(kernel, [2, 2], Padding::Same, None).tanh();
    let logits = x.reshape([6, v.dims()[0]]).matmul(dense);
    let loss = logits.bce_logits(graph.fill([6, 1], 1.0)).mean_all() + image.square().mean_all();
    let gradients = grad(loss, &[kernel, dense]).unwrap();
    let packed = Var::pack(&gradients, &[0, w.len()], len);
    let new = state.adam(packed, graph.constant([2], &[1e-3, 1e-7]), 0.5, 0.999);
    let plan = graph.plan().output("loss", loss).assign(state, new).build().unwrap();

    let cpu = Cpu::with_threads(2).unwrap();
    let mut variables = Variables::new();
    let start: Vec<f32> =
        (0..3 * len).map(|i| if i < len { (i % 7) as f32 * 0.01 - 0.03 } else { 0.0 }).collect();
    variables.insert(&cpu, "state", Shape::from([3, len]), &start).unwrap();
    let mut program = Program::new(&cpu, plan, &variables).unwrap();
    let images: Vec<f32> = (0..3 * 784).map(|i| (i % 11) as f32 * 0.1).collect();
    let mut out = [0.0];
    program.write("x", &images).unwrap();
    program.request("loss").unwrap();
    program.run().unwrap();
    assert!(program.collect("loss", false, &mut out).unwrap());
    let first = out[0];
    let before = ALLOCATIONS.load(Relaxed);
    for _ in 0..200 {
        program.write("x", &images).unwrap();
        program.request("loss").unwrap();
        program.run().unwrap();
        assert!(program.collect("loss", false, &mut out).unwrap());
        let kept = out[0];
        program.read_into("loss", &mut out).unwrap();
        assert_eq!(kept, out[0]);
    }
    assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0, "allocations in 200 steps");
    assert!(out[0] < first, "the loss went from {first} to {}", out[0]);
}
