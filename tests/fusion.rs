//! Fused equals decomposed: every operation that is defined by others, and every rewrite of `fuse.rs`.

use std::collections::BTreeSet;

use gannet_tensor::{Conv2dGeometry, Graph, NodeKind, Padding, Pool2dGeometry, Reference, Var, ops};
use gannet_tests::{
    Case, Derivative, Domain, Evaluation, Random, Rounding, Row, Trial, check, definition, deviation,
    evaluate, leaf, node, rows,
};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};

const CASES: u32 = 24;

/// Asserts that two graphs of one case agree in outputs and gradients, up to rounding.
fn agree(left: &Trial<'_>, right: &Trial<'_>) -> Result<(), String> {
    let (left_outputs, right_outputs) = (left.outputs(), right.outputs());
    assert_eq!(left_outputs.len(), right_outputs.len(), "outputs");
    let expected: Vec<Var<'_>> = left_outputs.iter().map(|(_, var)| *var).collect();
    let actual: Vec<Var<'_>> = right_outputs.iter().map(|(_, var)| *var).collect();
    let expected = Evaluation::<f64>::new(&expected, |name| left.values(name).to_vec());
    let actual = Evaluation::<f64>::new(&actual, |name| left.values(name).to_vec());
    let rounding = Rounding::of(&expected);
    for ((name, l), (_, r)) in left_outputs.iter().zip(&right_outputs) {
        deviation(actual.value(*r), expected.value(*l), rounding.units(*l), f64::EPSILON)
            .map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

/// Values, and gradients where there are any, of each operation and of its definition.
fn equals_its_definition(row: &Row) {
    let derivative = row.derivative;
    check(row, CASES, move |case, random| {
        let defined = case.clone().rewritten(|y| {
            let NodeKind::Operation(op, inputs) = y.kind() else { unreachable!("{y:?}") };
            let inputs: Vec<Var<'_>> = inputs.iter().map(|id| y.graph().var(*id)).collect();
            definition(&*op, &inputs).unwrap_or_else(|| panic!("{op:?} has no definition"))
        });
        let (graph, other) = (Graph::new(), Graph::new());
        let mut again = random.clone();
        let left = Trial::new(&graph, case, derivative, &mut { random }).map_err(|e| e.to_string())?;
        // An optimiser's definition can be differentiated; the comparison is of values then.
        let right = Trial::new(&other, &defined, derivative, &mut again).map_err(|e| e.to_string())?;
        agree(&left, &right)
    });
}

macro_rules! defined {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                equals_its_definition(&rows::$name());
            }
        )*

        /// No operation with a definition is left out above.
        #[test]
        fn every_definition_is_checked() {
            let checked = BTreeSet::from([$(stringify!($name)),*]);
            for row in rows::all() {
                check(&row, 1, |case, _| {
                    let graph = Graph::new();
                    let (_, y) = case.trace(&graph);
                    let NodeKind::Operation(op, inputs) = y.kind() else { return Ok(()) };
                    let inputs: Vec<Var<'_>> = inputs.iter().map(|id| graph.var(*id)).collect();
                    match definition(&*op, &inputs) {
                        Some(_) if !checked.contains(row.name) => Err("it has a definition".into()),
                        _ => Ok(()),
                    }
                });
            }
        }
    };
}
defined! {
    adam batch_norm batch_norm_grad batch_norm_sums batch_norm_train batch_stats fused_batch_norm
    fused_batch_norm_train fused_bce_sum fused_conv2d fused_conv_transpose2d fused_lerp fused_matmul
    fused_sigmoid_affine sgd softmax softmax_cross_entropy
}

/// The program with fusion, without it, and node by node.
fn equals_unfused(case: &Case, derivative: Derivative, mut random: Random) -> Result<(), String> {
    let graph = Graph::new();
    let trial = Trial::new(&graph, case, derivative, &mut random).map_err(|e| e.to_string())?;
    let outputs = trial.outputs();
    let roots: Vec<Var<'_>> = outputs.iter().map(|(_, var)| *var).collect();
    let evaluation = Evaluation::<f64>::new(&roots, |name| trial.values(name).to_vec());
    let rounding = Rounding::of(&evaluation);
    let run = |fusion| {
        evaluate(&Reference::<f64>::new(), &outputs, fusion, |name| trial.values(name).to_vec())
            .map_err(|e| e.to_string())
    };
    let (fused, unfused) = (run(true)?, run(false)?);
    for (((name, var), fused), unfused) in outputs.iter().zip(fused).zip(unfused) {
        let (expected, units) = (evaluation.value(*var), rounding.units(*var));
        deviation(&fused, expected, units, f64::EPSILON).map_err(|e| format!("fused, {name}: {e}"))?;
        if unfused.iter().zip(expected).any(|(a, b)| a.to_bits() != b.to_bits()) {
            return Err(format!("not fused, {name}: other bits than node by node"));
        }
    }
    Ok(())
}

macro_rules! rewrites {
    ($($name:ident)*) => {
        /// Gradients of each row hold products behind activations, and what may be rewritten wrongly.
        mod rewritten {
            use super::*;
            $(
                #[test]
                fn $name() {
                    let row = rows::$name();
                    check(&row, 8, |case, random| equals_unfused(case, row.derivative, random));
                }
            )*
        }
    };
}
gannet_tests::for_each_row!(rewrites);

/// What stands between a product and the next layer.
#[derive(Clone, Copy, Debug)]
struct Layer {
    bias: bool,
    norm: bool,
    /// 0: none, 1: LeakyReLU, 2: tanh, 3: sigmoid.
    activation: u8,
    /// Whether something else reads the value before the activation, so that it may not be taken in.
    tapped: bool,
}

/// Two convolutions and a product, each with some of bias, normalisation and activation: the layers of a
/// discriminator, in all combinations that fusion must tell apart.
fn network(layers: [Layer; 3]) -> Case {
    let weights = Domain::Within(-0.5, 0.5);
    let leaves = vec![
        leaf("x", [2, 6, 5, 3], Domain::Within(-1.0, 1.0)),
        leaf("w0", [3, 2, 3, 4], weights),
        leaf("b0", [4], weights),
        leaf("w1", [2, 3, 4, 4], weights),
        leaf("b1", [4], weights),
        leaf("w2", [6 * 5 * 4, 4], weights),
        leaf("b2", [4], weights),
        leaf("gamma", [4], Domain::Within(0.5, 1.5)),
        leaf("beta", [4], weights),
    ];
    Case::new(format!("{layers:?}"), leaves, move |v| {
        let [x, w0, b0, w1, b1, w2, b2, gamma, beta] = *v else { unreachable!("nine leaves") };
        let mut extra = Vec::new();
        let mut layer = |y, b, l: Layer| {
            let mut y = if l.bias { y + b } else { y };
            if l.norm {
                y = Var::batch_norm_train(y, gamma, beta, 1e-3, 2).0;
            }
            if l.tapped {
                extra.push(y.sum_all());
            }
            match l.activation {
                0 => y,
                1 => y.leaky_relu(0.2),
                2 => y.tanh(),
                _ => y.sigmoid(),
            }
        };
        let y = layer(x.conv2d(w0, [2, 2], Padding::Same), b0, layers[0]);
        let y = layer(y.conv_transpose2d(w1, [2, 1], Padding::Valid, None), b1, layers[1]);
        let y = layer(y.reshape([2, 6 * 5 * 4]).matmul(w2), b2, layers[2]);
        extra.into_iter().fold(y, |y, tap| y + tap)
    })
}

/// Names of the instructions that compute y.
fn instructions(case: &Case) -> Vec<&'static str> {
    let graph = Graph::new();
    let (_, y) = case.trace(&graph);
    let plan = graph.plan().output("y", y).build().expect("a plan");
    plan.instructions().iter().map(|instruction| instruction.op.name()).collect()
}

#[test]
fn products_take_in_their_epilogue_and_batch_norm_its_activation() {
    let plain = Layer { bias: false, norm: false, activation: 0, tapped: false };
    let products = |layer| instructions(&network([layer; 3]));
    assert_eq!(products(plain), ["conv2d", "conv_transpose2d", "matmul"]);
    let fused = ["fused_conv2d", "fused_conv_transpose2d", "fused_matmul"];
    for activation in 0..4 {
        assert_eq!(products(Layer { bias: true, activation, ..plain }), fused);
    }
    assert_eq!(products(Layer { activation: 1, ..plain }), fused);
    let normalised = products(Layer { norm: true, activation: 1, ..plain });
    assert_eq!(normalised.iter().filter(|name| **name == "fused_batch_norm").count(), 3, "{normalised:?}");
    // What something else reads before the activation stays apart from it.
    let tapped = products(Layer { activation: 1, tapped: true, ..plain });
    assert_eq!(tapped.iter().filter(|name| **name == "leaky_relu").count(), 3, "{tapped:?}");
}

#[test]
fn networks() {
    let layer = (any::<bool>(), any::<bool>(), 0..4u8, any::<bool>())
        .prop_map(|(bias, norm, activation, tapped)| Layer { bias, norm, activation, tapped });
    let cases = [layer.clone(), layer.clone(), layer].prop_map(network).boxed();
    let row = Row { name: "networks", derivative: Derivative::Exists, cases };
    check(&row, 96, |case, random| equals_unfused(case, row.derivative, random));
}

/// Losses of two parts of a batch: its cut, where the parts may overlap or leave a gap between them.
fn losses(axis: usize, cut: usize, mean: bool, labels: bool, tapped: bool) -> Case {
    let leaves =
        vec![leaf("x", [4, 4], Domain::Within(-2.0, 2.0)), leaf("t", [4, 4], Domain::Within(0.0, 1.0))];
    Case::new(format!("losses, axis {axis}, cut {cut}, {mean} {labels} {tapped}"), leaves, move |v| {
        let part = |start, end| {
            let x = v[0].slice(axis, start, end);
            let t = if labels { v[1].slice(axis, start, end) } else { x.graph().fill(x.shape(), 0.875) };
            let loss = x.bce_logits(t);
            let total = if mean { loss.mean_all() } else { loss.sum_all() * 0.3 };
            if tapped { total + loss.square().sum_all() } else { total }
        };
        // The second part ends where the first begins, so that its gradient stands in front.
        part(2, 4) + part(0, cut)
    })
}

/// Moving averages of averages; the rate changes after some steps, or the average between is read.
fn averages(steps: usize, changes: usize, tapped: Option<usize>) -> Case {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut leaves: Vec<_> = names.iter().map(|name| leaf(name, [5], Domain::Within(-1.0, 1.0))).collect();
    leaves.extend(["t", "u"].map(|name| leaf(name, [1], Domain::Within(0.1, 0.9))));
    Case::new(format!("{steps} averages, {changes}, {tapped:?}"), leaves, move |v| {
        let mut y = v[0];
        let mut read = v[0];
        for step in 1..=steps {
            y = y.lerp(v[step], v[if step <= changes { 6 } else { 7 }]);
            read = if tapped == Some(step) { y } else { read };
        }
        y * read
    })
}

#[test]
fn losses_of_parts() {
    let cases = (0..2usize, 1..4usize, any::<[bool; 3]>())
        .prop_map(|(axis, cut, [mean, labels, tapped])| losses(axis, cut, mean, labels, tapped));
    let row = Row { name: "losses", derivative: Derivative::Exists, cases: cases.boxed() };
    check(&row, 96, |case, random| equals_unfused(case, row.derivative, random));
    assert_eq!(instructions(&losses(0, 2, true, true, false)), ["fused_bce_sum", "fused_bce_sum", "add"]);
}

#[test]
fn averages_of_averages() {
    let cases = (1..6usize, 0..6usize, proptest::option::of(1..6usize))
        .prop_map(|(steps, changes, tapped)| averages(steps, changes, tapped));
    let row = Row { name: "averages", derivative: Derivative::Exists, cases: cases.boxed() };
    check(&row, 96, |case, random| equals_unfused(case, row.derivative, random));
    assert_eq!(instructions(&averages(3, 3, None)), ["fused_lerp", "mul"]);
}

/// A convolution with stride 1 of upsampled images, or before the mean of windows.
#[derive(Clone, Debug)]
struct Resampled {
    upsampled: bool,
    /// Height, width and channels of the smaller images that are upsampled or of those that are convolved, and
    /// channels after the convolution.
    image: [usize; 4],
    kernel: [usize; 2],
    /// Before and after, along the height and along the width.
    pad: [usize; 4],
    factor: [usize; 2],
    /// Whether windows are padded to whole ones.
    same: bool,
    bias: bool,
}

impl Resampled {
    /// As the methods of `Var` trace it, or `plain`, node by node.
    fn case(&self, plain: bool) -> Case {
        let Resampled {
            upsampled, image: [h, w, c, out], kernel: [down, across], factor, same, bias, ..
        } = *self;
        let [top, bottom, left, right] = self.pad;
        let padding = Padding::Explicit { top, bottom, left, right };
        let windows = if same { Padding::Same } else { Padding::Valid };
        let weights = Domain::Within(-0.5, 0.5);
        let leaves = vec![
            leaf("x", [2, h, w, c], Domain::Within(-1.0, 1.0)),
            leaf("w", [down, across, c, out], weights),
            leaf("b", [out], weights),
        ];
        Case::new(format!("{self:?}"), leaves, move |v| {
            let [x, w, b] = *v else { unreachable!("three leaves") };
            let x = if upsampled { x.upsample_nearest(factor) } else { x };
            let geometry = Conv2dGeometry::forward(x.shape(), w.shape(), [1, 1], padding).unwrap();
            let y =
                if plain { node(ops::Conv2d { geometry }, &[x, w]) } else { x.conv2d(w, [1, 1], padding) };
            let y = if bias { y + b } else { y };
            match (upsampled, plain) {
                (true, _) => y,
                (false, false) => y.avg_pool2d(factor, factor, windows),
                (false, true) => {
                    let geometry = Pool2dGeometry::new(y.shape(), factor, factor, windows).unwrap();
                    node(ops::AvgPool2d { geometry }, &[y])
                }
            }
        })
    }
}

fn resampled(upsampled: bool) -> impl Strategy<Value = Resampled> {
    let image = [3..6usize, 3..6usize, 1..4usize, 1..4usize];
    let window = [1..5usize, 1..5usize];
    let pad = [0..4usize, 0..4usize, 0..4usize, 0..4usize];
    (image, window.clone(), pad, window, any::<[bool; 2]>())
        .prop_map(move |(image, kernel, pad, factor, [same, bias])| {
            let pad = [0, 1, 2, 3].map(|i| pad[i].min(kernel[i / 2] - 1));
            Resampled { upsampled, image, kernel, pad, factor, same, bias }
        })
        .prop_filter("windows that fit", |r| {
            [0, 1].iter().all(|&axis| {
                let scale = if r.upsampled { r.factor[axis] } else { 1 };
                let padded = scale * r.image[axis] + r.pad[2 * axis] + r.pad[2 * axis + 1];
                let window = if r.upsampled { 1 } else { r.factor[axis] };
                padded >= r.kernel[axis] + window - 1
            })
        })
}

/// Values and gradients of first and second order, for all kernels, paddings and factors.
#[test]
fn convolutions_take_in_the_resampling_beside_them() {
    let cases = prop_oneof![resampled(true), resampled(false)];
    let config =
        ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..Default::default() };
    let outcome = TestRunner::new(config).run(&(cases, any::<u64>()), |(resampled, seed)| {
        let (graph, other) = (Graph::new(), Graph::new());
        let trial = |graph, plain| {
            Trial::new(graph, &resampled.case(plain), Derivative::Exists, &mut Random::new(seed)).unwrap()
        };
        agree(&trial(&graph, true), &trial(&other, false)).map_err(TestCaseError::fail)
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn what_is_resampled_is_not_stored() {
    let layer = |upsampled, kernel: usize| {
        let pad = [(kernel - 1) / 2; 4];
        let (image, kernel) = ([4, 4, 2, 3], [kernel; 2]);
        instructions(
            &Resampled { upsampled, image, kernel, pad, factor: [2, 2], same: false, bias: true }.case(false),
        )
    };
    // The kernel, its taps summed, and the one convolution.
    assert_eq!(layer(true, 3), ["permute", "matmul", "fused_conv_transpose2d"]);
    assert_eq!(layer(false, 3), ["matmul", "fused_conv2d"]);
    // Single pixels at the lower resolution.
    assert_eq!(layer(true, 1), ["conv2d", "upsample_nearest", "add"]);
    assert_eq!(layer(false, 1), ["avg_pool2d", "fused_conv2d"]);
}
