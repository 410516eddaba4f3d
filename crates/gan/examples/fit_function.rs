//! The engine without a GAN: a small network is fitted to a sine, by a graph, its gradient, and gradient descent with
//! momentum written as assignments. A second program with another batch size predicts with the same weights.
//!
//! ```text
//! cargo run --release -p gannet --example fit_function
//! ```

use gannet::{Backend, Cpu, Graph, Program, Result, Shape, Stream, Var, Variables, grad};

const HIDDEN: usize = 32;
const POINTS: usize = 128;
const RATE: f64 = 0.05;
const MOMENTUM: f64 = 0.9;

/// Name, shape, and the standard deviation at the start.
fn weights() -> [(&'static str, Shape, f64); 4] {
    [
        ("w1", [1, HIDDEN].into(), 1.0),
        ("b1", [HIDDEN].into(), 1.0),
        ("w2", [HIDDEN, 1].into(), 0.2),
        ("b2", [1].into(), 0.0),
    ]
}

/// y [n, 1] of x [n, 1].
fn network<'g>(x: Var<'g>, [w1, b1, w2, b2]: [Var<'g>; 4]) -> Var<'g> {
    (x.matmul(w1) + b1).tanh().matmul(w2) + b2
}

/// A step of gradient descent on the mean squared error over `POINTS` pairs `x`, `target`.
fn training<B: Backend>(backend: &B, variables: &Variables<B>) -> Result<Program<B>> {
    let graph = Graph::new();
    let (x, target) = (graph.input("x", [POINTS, 1]), graph.input("target", [POINTS, 1]));
    let weights = weights().map(|(name, shape, _)| (name, graph.variable(name, shape)));
    let loss = (network(x, weights.map(|(_, w)| w)) - target).square().mean_all();
    let gradients = grad(loss, &weights.map(|(_, w)| w))?;
    let mut plan = graph.plan().output("loss", loss);
    for ((name, weight), gradient) in weights.into_iter().zip(gradients) {
        let velocity = graph.variable(&format!("velocity/{name}"), weight.shape());
        let next = velocity * MOMENTUM - gradient * RATE;
        plan = plan.assign(velocity, next).assign(weight, weight + next);
    }
    Ok(Program::new(backend, plan.build()?, variables)?)
}

/// The network at `n` points.
fn prediction<B: Backend>(backend: &B, variables: &Variables<B>, n: usize) -> Result<Program<B>> {
    let graph = Graph::new();
    let weights = weights().map(|(name, shape, _)| graph.variable(name, shape));
    let y = network(graph.input("x", [n, 1]), weights);
    Ok(Program::new(backend, graph.plan().output("y", y).build()?, variables)?)
}

fn main() -> Result<()> {
    let backend = Cpu::new()?;
    let mut variables = Variables::new();
    for (name, shape, deviation) in weights() {
        let mut stream = Stream::new(1, name, 0);
        let start: Vec<f32> = (0..shape.len()).map(|_| (stream.normal() * deviation) as f32).collect();
        variables.insert(&backend, name, shape, &start)?;
        variables.insert(&backend, &format!("velocity/{name}"), shape, &vec![0.0; shape.len()])?;
    }

    let mut train = training(&backend, &variables)?;
    let xs: Vec<f32> = (0..POINTS).map(|i| (i as f32 / (POINTS - 1) as f32 * 2.0 - 1.0) * 3.0).collect();
    let ys: Vec<f32> = xs.iter().map(|x| x.sin()).collect();
    train.write("x", &xs)?;
    train.write("target", &ys)?;
    for step in 0..=4000 {
        train.run()?;
        if step % 1000 == 0 {
            println!("step {step}: mean squared error {:.6}", train.read("loss")?[0]);
        }
    }

    let mut predict = prediction(&backend, &variables, 5)?;
    let at = [-2.5, -1.0, 0.0, 0.5, 2.0];
    predict.write("x", &at)?;
    predict.run()?;
    for (x, y) in at.into_iter().zip(predict.read("y")?) {
        println!("sin {x:4} = {:7.4}, the network says {y:7.4}", x.sin());
    }
    Ok(())
}
