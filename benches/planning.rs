//! How long it takes to trace, differentiate and plan networks of more and more nodes: time for each node should not
//! grow.
//!
//! `cargo bench -p gannet-benches --bench planning`

use std::time::Instant;

use gannet_tensor::{Graph, Result, Var, grad};

/// Plans a training step of a dense network; returns the nodes of its graph.
fn plan(layers: usize) -> Result<usize> {
    let graph = Graph::new();
    let (width, part) = (8, 128);
    let state = graph.variable("state", [3, layers * part]);
    let row = state.slice(0, 0, 1).reshape([layers * part]);
    let offsets: Vec<usize> = (0..layers * 2).map(|i| i / 2 * part + i % 2 * width * width).collect();
    let parameters: Vec<Var<'_>> = (offsets.iter().enumerate())
        .map(|(i, &at)| match i % 2 {
            0 => row.slice(0, at, at + width * width).reshape([width, width]),
            _ => row.slice(0, at, at + width),
        })
        .collect();
    let mut x = graph.input("x", [4, width]);
    for weights in parameters.chunks_exact(2) {
        x = (x.matmul(weights[0]) + weights[1]).leaky_relu(0.2);
    }
    let loss = x.square().mean_all();
    let packed = Var::pack(&grad(loss, &parameters)?, &offsets, layers * part);
    let updated = state.adam(packed, graph.constant([2], &[1e-3, 1e-7]), 0.9, 0.999);
    let plan = graph.plan().output("loss", loss).assign(state, updated).build()?;
    std::hint::black_box(plan.instructions().len());
    Ok(packed.id().index())
}

fn main() -> Result<()> {
    println!("{:>8} {:>10} {:>14}", "nodes", "ms", "us for each");
    for layers in [25, 50, 100, 200, 400, 800] {
        let start = Instant::now();
        let nodes = plan(layers)?;
        let seconds = start.elapsed().as_secs_f64();
        println!("{nodes:>8} {:>10.1} {:>14.2}", seconds * 1e3, seconds * 1e6 / nodes as f64);
    }
    Ok(())
}
