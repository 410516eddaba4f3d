//! How far rounding may move a result: running error analysis (Wilkinson; Higham 2002, section 3.3).
//!
//! Every node of a graph gets, beside its value, an error in units of eps. The units of an input are 0: all
//! backends are given the same numbers. The units of an operation are those of its inputs, propagated by
//! the magnitude of its derivative, plus those of its own arithmetic:
//! - what moves elements adds none;
//! - an accumulation of K terms adds sqrt(K) times the same accumulation over absolute values (rounding
//!   errors of K additions add up like a random walk). K is counted by running the operation on ones;
//! - an operation on each element adds its result and, for what cancels inside, each input's magnitude
//!   times the derivative: the error of a kernel that is exact for inputs moved by one eps;
//! - an operation that is defined by others has the units of its definition.
//!
//! One factor for everything, [`FACTOR`], then says what is too far; no operation has a tolerance of its own.

use std::collections::BTreeMap;

use gannet_tensor::{Graph, NodeId, NodeKind, Operation, Shape, Var, ops};

use crate::evaluation::{Evaluation, apply};

/// Units that a result may be off: room for the 2 to 4 units in the last place of a vectorised exponential.
const FACTOR: f64 = 4.0;

/// The errors of every node of an evaluation, in units of eps.
pub struct Rounding {
    units: BTreeMap<NodeId, Vec<f64>>,
}

/// How an operation handles errors of its inputs.
enum Rule {
    /// Each output element is an element of an input, or 0. Linear in the inputs from this one on.
    Moves(usize),
    /// A sum of elements of one input with factors of at least 0, which other inputs may choose.
    Accumulates(usize),
    /// Sums of products of elements of two inputs.
    Multiplies,
    /// Each output element is a function of one element of each of the first inputs; whether it is exact.
    Elementwise { inputs: usize, exact: bool },
    /// See [`definition`].
    Defined,
}

fn rule(op: &dyn Operation, inputs: usize) -> Rule {
    match op.name() {
        "broadcast_to" | "concat" | "copy_to" | "max" | "max_pool2d" | "pack" | "pad" | "permute"
        | "reshape" | "slice" | "stop_gradient" | "upsample_nearest" => Rule::Moves(0),
        "max_pool2d_gather" => Rule::Moves(1),
        "embedding" => Rule::Accumulates(0),
        "embedding_grad" | "max_pool2d_grad" => Rule::Accumulates(1),
        "sum" | "avg_pool2d" | "avg_pool2d_grad" => Rule::Accumulates(0),
        "batch_matmul" | "matmul" | "conv2d" | "conv_transpose2d" | "conv2d_weight_grad" => Rule::Multiplies,
        "abs" | "clamp_mask" | "maximum" => Rule::Elementwise { inputs, exact: true },
        "argmax" | "greater" | "one_hot" | "sign" => Rule::Elementwise { inputs: 0, exact: true },
        // The second input of dropout counts steps.
        "dropout" => Rule::Elementwise { inputs: 1, exact: false },
        "adam" | "batch_stats" | "sgd" | "softmax" | "softmax_cross_entropy" => Rule::Defined,
        name if name.starts_with("batch_norm") || name.starts_with("fused_") => Rule::Defined,
        _ => Rule::Elementwise { inputs, exact: false },
    }
}

/// The operation in terms of simpler ones: its own decomposition, or the formula in its documentation.
pub fn definition<'g>(op: &dyn Operation, x: &[Var<'g>]) -> Option<Var<'g>> {
    if let Some(y) = op.decompose(x) {
        return Some(y);
    }
    if op.name() == "softmax" {
        let e = x[0].exp();
        return Some(e / e.sum(&[x[0].shape().rank() - 1]));
    }
    if op.name() == "softmax_cross_entropy" {
        let &[n, classes] = x[0].shape().dims() else { return None };
        let picked = (x[0] * x[1].one_hot(classes)).sum(&[1]);
        return Some((x[0].exp().sum(&[1]).log() - picked).reshape([n]));
    }
    if let Some(op) = op.downcast::<ops::BatchStats>() {
        let (groups, channels) = (op.groups, x[0].shape().last());
        let parts = x[0].reshape([groups, x[0].shape().len() / groups / channels, channels]);
        let mean = parts.mean(&[1]);
        let variance = (parts - mean).square().mean(&[1]);
        return Some(Var::concat(&[mean, variance], 1).reshape([2 * groups, channels]));
    }
    if let Some(op) = op.downcast::<ops::Adam>() {
        let [p, m, v] = [0, 1, 2].map(|row| x[0].slice(0, row, row + 1).reshape(x[1].shape()));
        let [step_size, eps] = [0, 1].map(|i| x[2].slice(0, i, i + 1));
        let m = m * op.beta1 + x[1] * (1.0 - op.beta1);
        let v = v * op.beta2 + x[1].square() * (1.0 - op.beta2);
        let p = p - step_size * m / (v.sqrt() + eps);
        return Some(Var::concat(&[p, m, v], 0).reshape(x[0].shape()));
    }
    if let Some(op) = op.downcast::<ops::Sgd>() {
        let [p, v] = [0, 1].map(|row| x[0].slice(0, row, row + 1).reshape(x[1].shape()));
        let v = v * op.momentum + x[1];
        return Some(Var::concat(&[p - x[2] * v, v], 0).reshape(x[0].shape()));
    }
    None
}

impl Rounding {
    /// The errors of all nodes of an evaluation whose inputs are exact.
    pub fn of(evaluation: &Evaluation<'_, f64>) -> Rounding {
        Rounding::with_inputs(evaluation, |_, shape| vec![0.0; shape.len()])
    }

    fn with_inputs(evaluation: &Evaluation<'_, f64>, input: impl Fn(&str, Shape) -> Vec<f64>) -> Rounding {
        let mut rounding = Rounding { units: BTreeMap::new() };
        for (var, value) in evaluation.nodes() {
            let units = match var.kind() {
                NodeKind::Input(name) | NodeKind::Variable(name) => input(&name, var.shape()),
                NodeKind::Fill(_) | NodeKind::Constant(_) => {
                    let exact = |v: f64| f64::from(v as f32) == v;
                    value.iter().map(|&v| if exact(v) { 0.0 } else { v.abs() }).collect()
                }
                NodeKind::Operation(op, inputs) => {
                    let inputs: Vec<Operand<'_>> = inputs
                        .iter()
                        .map(|id| {
                            let (shape, value) = evaluation.get(*id);
                            Operand { shape, value, units: &rounding.units[id] }
                        })
                        .collect();
                    propagate(&*op, &inputs, value, var.shape())
                }
            };
            rounding.units.insert(var.id(), units);
        }
        rounding
    }

    /// The errors of a node, in units of eps.
    pub fn units(&self, var: Var<'_>) -> &[f64] {
        &self.units[&var.id()]
    }
}

/// An input of an operation: its value and its errors.
struct Operand<'a> {
    shape: Shape,
    value: &'a [f64],
    units: &'a [f64],
}

/// The errors of the result `y` of an operation.
fn propagate(op: &dyn Operation, inputs: &[Operand<'_>], y: &[f64], shape: Shape) -> Vec<f64> {
    let shapes: Vec<Shape> = inputs.iter().map(|x| x.shape).collect();
    let run = |data: &[&[f64]]| {
        let inputs: Vec<(Shape, &[f64])> = shapes.iter().copied().zip(data.iter().copied()).collect();
        apply(op, &inputs, shape)
    };
    let values: Vec<&[f64]> = inputs.iter().map(|x| x.value).collect();
    let replaced = |index: usize, by: &[f64]| {
        let mut data = values.clone();
        data[index] = by;
        run(&data)
    };
    let magnitude = |index: usize| -> Vec<f64> { inputs[index].value.iter().map(|v| v.abs()).collect() };
    let ones = |index: usize| vec![1.0; inputs[index].value.len()];
    // Terms that the operation itself divides by do not show when it runs on ones.
    let least_terms = op.flops(&shapes, shape) as f64 / y.len() as f64 / 2.0;
    let accumulated = |propagated: Vec<f64>, terms: Vec<f64>, absolute: Vec<f64>| -> Vec<f64> {
        let own = terms.iter().zip(absolute).map(|(k, a)| k.max(least_terms).sqrt() * a);
        propagated.iter().zip(own).map(|(p, own)| p + own).collect()
    };
    match rule(op, inputs.len()) {
        Rule::Moves(from) => {
            let data: Vec<&[f64]> =
                inputs.iter().enumerate().map(|(i, x)| if i < from { x.value } else { x.units }).collect();
            run(&data)
        }
        Rule::Accumulates(i) => {
            accumulated(replaced(i, inputs[i].units), replaced(i, &ones(i)), replaced(i, &magnitude(i)))
        }
        Rule::Multiplies => {
            let (a, b) = (magnitude(0), magnitude(1));
            let (left, right) = (run(&[inputs[0].units, &b]), run(&[&a, inputs[1].units]));
            let propagated = left.iter().zip(right).map(|(l, r)| l + r).collect();
            accumulated(propagated, run(&[&ones(0), &ones(1)]), run(&[&a, &b]))
        }
        Rule::Elementwise { inputs: count, exact } => {
            let mut units: Vec<f64> = y.iter().map(|y| if exact { 0.0 } else { y.abs() }).collect();
            for (i, x) in inputs.iter().enumerate().take(count) {
                // |df/dx| times the error, by a difference in the direction of the error.
                const STEP: f64 = 1e-6;
                let moved = |sign: f64| -> Vec<f64> {
                    let error = |v: f64, u: f64| if exact { u } else { u + v.abs() };
                    x.value.iter().zip(x.units).map(|(&v, &u)| v + sign * STEP * error(v, u)).collect()
                };
                let (up, down) = (replaced(i, &moved(1.0)), replaced(i, &moved(-1.0)));
                for ((units, up), down) in units.iter_mut().zip(up).zip(down) {
                    *units += (up - down).abs() / (2.0 * STEP);
                }
            }
            units
        }
        Rule::Defined => {
            let graph = Graph::new();
            let name = |i: usize| i.to_string();
            let leaves: Vec<Var<'_>> =
                shapes.iter().enumerate().map(|(i, shape)| graph.input(&name(i), *shape)).collect();
            let Some(root) = definition(op, &leaves) else { panic!("{op:?} has no definition") };
            let operand = |name: &str| &inputs[name.parse::<usize>().unwrap_or(0)];
            let evaluation = Evaluation::new(&[root], |name| operand(name).value.to_vec());
            let rounding = Rounding::with_inputs(&evaluation, |name, _| operand(name).units.to_vec());
            rounding.units(root).to_vec()
        }
    }
}

/// Compares a result with the expected one: an error that names the worst element where it is further off
/// than rounding with the given `eps` explains.
pub fn deviation(actual: &[f64], expected: &[f64], units: &[f64], eps: f64) -> Result<(), String> {
    assert_eq!((actual.len(), units.len()), (expected.len(), expected.len()), "lengths");
    // Numbers below the smallest normal one may be flushed to zero.
    let least = if eps > 1e-10 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE };
    let excess = |i: usize| {
        let bound = FACTOR * eps * units[i] + least;
        let ratio = (actual[i] - expected[i]).abs() / bound;
        if ratio.is_nan() { f64::INFINITY } else { ratio }
    };
    let worst = (0..expected.len()).max_by(|&i, &j| excess(i).total_cmp(&excess(j)));
    match worst.filter(|&i| excess(i) > 1.0) {
        Some(i) => Err(format!(
            "element {i} of {}: expected {:e}, got {:e}, which is {:.3e} times the bound ({:e} units of {eps:e})",
            expected.len(),
            expected[i],
            actual[i],
            excess(i),
            units[i],
        )),
        None => Ok(()),
    }
}
