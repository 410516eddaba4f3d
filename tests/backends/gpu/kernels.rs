//! Every kernel against `Reference<f64>`: outputs and gradients of first and second order of every row of the case
//! list, within the bounds of rounding, with unchecked and with checked shaders; and larger shapes, for the variants
//! that small ones do not reach.

use std::cell::RefCell;
use std::collections::BTreeSet;

use gannet_gpu::{Wgpu, launches};
use gannet_tensor::ops::{self, Activation, Epilogue};
use gannet_tensor::{Conv2dGeometry, Graph, Padding, Shape, Var};
use gannet_tests::{
    Case, Derivative, Domain, Evaluation, Random, Rounding, Row, Trial, check, deviation, evaluate,
    for_each_row, leaf, node, rows,
};

use super::device::device;

/// Cases of a row with unchecked and with checked shaders.
const CASES: [u32; 2] = [12, 2];

/// Outputs and gradients of a case.
fn agrees(gpu: &Wgpu, case: &Case, derivative: Derivative, mut random: Random) -> Result<(), String> {
    let graph = Graph::new();
    let trial = Trial::new(&graph, case, derivative, &mut random).map_err(|e| e.to_string())?;
    let outputs = trial.outputs();
    let roots: Vec<_> = outputs.iter().map(|(_, var)| *var).collect();
    let evaluation = Evaluation::<f64>::new(&roots, |name| trial.values(name).to_vec());
    let rounding = Rounding::of(&evaluation);
    let values = evaluate(gpu, &outputs, true, |name| trial.values(name).to_vec());
    for ((name, var), actual) in outputs.iter().zip(values.map_err(|e| e.to_string())?) {
        deviation(&actual, evaluation.value(*var), rounding.units(*var), f64::from(f32::EPSILON))
            .map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

fn row_agrees(row: &Row, checked: bool) {
    let Some(gpu) = device(checked) else { return };
    check(row, CASES[usize::from(checked)], |case, random| agrees(gpu, case, row.derivative, random));
}

macro_rules! tests {
    ($($name:ident)*) => {
        mod unchecked {
            $(#[test] fn $name() { super::row_agrees(&super::rows::$name(), false); })*
        }
        mod checked {
            $(#[test] fn $name() { super::row_agrees(&super::rows::$name(), true); })*
        }
    };
}
for_each_row!(tests);

const ANY: Domain = Domain::Within(-2.0, 2.0);

const LEAKY: Activation = Activation::LeakyRelu { negative_slope: 0.2 };

/// What an epilogue takes beside the product's operands.
fn with_extra(
    mut leaves: Vec<gannet_tests::Leaf>,
    epilogue: Epilogue,
    product: Shape,
) -> Vec<gannet_tests::Leaf> {
    match epilogue {
        Epilogue::Activation(_) => {}
        Epilogue::ActivationGrad(_) => leaves.push(leaf("y", product, Domain::Apart(0.1, 0.9))),
        _ => leaves.push(leaf("bias", [product.last()], ANY)),
    }
    leaves
}

fn epilogues() -> [Epilogue; 3] {
    [
        Epilogue::BiasActivation(Activation::Tanh),
        Epilogue::ActivationGrad(LEAKY),
        Epilogue::Activation(Activation::Sigmoid),
    ]
}

/// The other functions of an epilogue, which are the same lines in every shader.
fn other_epilogues() -> [Epilogue; 4] {
    [
        Epilogue::Activation(LEAKY),
        Epilogue::BiasActivation(Activation::Sigmoid),
        Epilogue::ActivationGrad(Activation::Tanh),
        Epilogue::ActivationGrad(Activation::Sigmoid),
    ]
}

/// Shapes that reach every variant of the products: vectors of 4 or not, few columns, a split k.
fn products() -> Vec<Case> {
    let mut cases = Vec::new();
    // The third has a k that is split; the fourth more than 512 rows; the last few columns.
    for [m, n, k] in [[9, 12, 20], [9, 13, 20], [5, 8, 4200], [515, 9, 7], [40, 3, 70]] {
        for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let a = if trans_a { [k, m] } else { [m, k] };
            let b = if trans_b { [n, k] } else { [k, n] };
            let leaves =
                vec![leaf("a", a, Domain::Within(-0.5, 0.5)), leaf("b", b, Domain::Within(-0.5, 0.5))];
            cases.push(Case::of(leaves.clone(), move || ops::MatMul { trans_a, trans_b }));
            let every = [9, 12, 20] == [m, n, k] && !trans_a && !trans_b;
            for epilogue in epilogues().into_iter().chain(every.then(other_epilogues).into_iter().flatten()) {
                let leaves = with_extra(leaves.clone(), epilogue, Shape::from([m, n]));
                cases.push(Case::of(leaves, move || ops::FusedMatMul { trans_a, trans_b, epilogue }));
            }
        }
    }
    for [c_in, c_out] in [[3, 2], [2, 12], [12, 3], [5, 13], [13, 16]] {
        let (x, w) = (Shape::from([2, 7, 6, c_in]), Shape::from([3, 4, c_in, c_out]));
        let geometry = Conv2dGeometry::forward(x, w, [2, 1], Padding::Same).expect("it fits");
        let (y, w) = (geometry.features(), leaf("w", geometry.kernel(), Domain::Within(-0.5, 0.5)));
        for epilogue in epilogues() {
            let leaves = with_extra(vec![leaf("x", x, ANY), w.clone()], epilogue, y);
            cases.push(Case::of(leaves, move || ops::FusedConv2d { geometry, epilogue }));
            let leaves = with_extra(vec![leaf("dy", y, ANY), w.clone()], epilogue, x);
            cases.push(Case::of(leaves, move || ops::FusedConvTranspose2d { geometry, epilogue }));
        }
    }
    // A weight gradient over many pixels.
    let geometry = Conv2dGeometry::forward([5, 33, 31, 2].into(), [3, 3, 2, 9].into(), [1, 1], Padding::Same);
    let geometry = geometry.expect("it fits");
    let leaves = vec![leaf("x", geometry.image(), ANY), leaf("dy", geometry.features(), ANY)];
    cases.push(Case::of(leaves, move || ops::Conv2dWeightGrad { geometry }));
    cases
}

/// Products with as many results as larger tiles need, and sums just too long to be short: tall tiles for a few columns, large
/// ones for many; and products with short sums, of columns in whole vectors and not. No size is a multiple of a tile's.
fn products_of_many_results() -> Vec<Case> {
    let mut cases = Vec::new();
    let operand = |name, shape: Shape| leaf(name, shape, Domain::Within(-0.5, 0.5));
    // With and without an epilogue: each is a shader.
    let finishes =
        || [None, Some(Epilogue::BiasActivation(Activation::Tanh)), Some(Epilogue::ActivationGrad(LEAKY))];
    for [m, n, k] in [[16_290, 60, 17], [1410, 1484, 19], [70, 68, 16], [67, 70, 9]] {
        for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let a = operand("a", if trans_a { [k, m] } else { [m, k] }.into());
            let b = operand("b", if trans_b { [n, k] } else { [k, n] }.into());
            for epilogue in finishes() {
                let leaves = vec![a.clone(), b.clone()];
                cases.push(match epilogue {
                    None => Case::of(leaves, move || ops::MatMul { trans_a, trans_b }),
                    Some(epilogue) => {
                        let leaves = with_extra(leaves, epilogue, [m, n].into());
                        Case::of(leaves, move || ops::FusedMatMul { trans_a, trans_b, epilogue })
                    }
                });
            }
        }
    }
    // Images, kernels and stride of a convolution; and of the transposed one, whose four phases count together.
    let forward = [([2, 91, 90, 3], [2, 1, 3, 60]), ([1, 47, 30, 5], [1, 2, 5, 1484])];
    let backward = [([2, 91, 90, 60], [3, 2, 60, 3]), ([1, 54, 58, 740], [2, 2, 740, 3])];
    for (transposed, stride, sizes) in [(false, 1, forward), (true, 2, backward)] {
        for (x, w) in sizes {
            let (x, w) = (Shape::from(x), Shape::from(w));
            let geometry = Conv2dGeometry::forward(x, w, [stride, stride], Padding::Same);
            let geometry = geometry.expect("it fits");
            let (image, features) = (geometry.image(), geometry.features());
            let (from, to) = if transposed { (features, image) } else { (image, features) };
            for epilogue in finishes() {
                let leaves = vec![leaf("x", from, ANY), operand("w", geometry.kernel())];
                cases.push(match (epilogue, transposed) {
                    (None, false) => Case::of(leaves, move || ops::Conv2d { geometry }),
                    (None, true) => Case::of(leaves, move || ops::ConvTranspose2d { geometry }),
                    (Some(epilogue), false) => Case::of(with_extra(leaves, epilogue, to), move || {
                        ops::FusedConv2d { geometry, epilogue }
                    }),
                    (Some(epilogue), true) => Case::of(with_extra(leaves, epilogue, to), move || {
                        ops::FusedConvTranspose2d { geometry, epilogue }
                    }),
                });
            }
        }
    }
    for (x, w) in [([2, 5, 6, 1018], [4, 4, 1018, 60]), ([1, 5, 4, 90], [4, 4, 90, 1484])] {
        let geometry = Conv2dGeometry::forward(x.into(), w.into(), [1, 1], Padding::Valid).expect("it fits");
        let leaves = vec![leaf("x", geometry.image(), ANY), leaf("dy", geometry.features(), ANY)];
        cases.push(Case::of(leaves, move || ops::Conv2dWeightGrad { geometry }));
    }
    cases
}

/// Sums, statistics and normalisation of many rows, in several chunks.
fn long_sums() -> Vec<Case> {
    let mut cases: Vec<Case> = vec![
        Case::of(vec![leaf("x", [5000, 3], ANY)], || ops::Sum { axes: vec![0] }),
        Case::of(vec![leaf("x", [3, 9001], ANY)], || ops::Sum { axes: vec![1] }),
        Case::of(vec![leaf("x", [4, 3, 5, 2, 3, 7], ANY)], || ops::Sum { axes: vec![0, 2, 4] }),
        Case::of(vec![leaf("x", [4, 3, 5, 2, 3, 7], ANY)], || ops::Sum { axes: vec![1, 3, 5] }),
    ];
    // Of several chunks, of several blocks of channels, and of both.
    for (rows, channels, groups) in [(4500, 3, 1), (5002, 2, 2), (12, 130, 2), (2100, 66, 1)] {
        let leaves = vec![
            leaf("x", [rows, channels], ANY),
            leaf("gamma", [channels], ANY),
            leaf("beta", [channels], ANY),
        ];
        cases.push(Case::new(format!("batch_norm_train, groups {groups}"), leaves, move |x| {
            x[0].batch_norm_train(x[1], x[2], 1e-3, groups).0
        }));
    }
    cases
}

/// Operations that may overwrite what they read, on sums that nothing else reads.
fn in_place() -> Vec<Case> {
    let pair = |domain: Domain| vec![leaf("a", [7, 9], domain), leaf("b", [7, 9], domain)];
    let on_sum = |title: &str, f: for<'g> fn(Var<'g>) -> Var<'g>| {
        Case::new(title, pair(Domain::Within(0.2, 1.1)), move |x| f(x[0] + x[1]))
    };
    let mut cases = vec![
        on_sum("abs", |x| x.abs()),
        on_sum("affine", |x| x.affine(0.5, -3.0)),
        on_sum("clamp", |x| x.clamp(0.5, 1.5)),
        on_sum("exp", |x| x.exp()),
        on_sum("gelu", |x| x.gelu()),
        on_sum("leaky_relu", |x| x.leaky_relu(0.2)),
        on_sum("log", |x| x.log()),
        on_sum("normal_cdf", |x| x.normal_cdf()),
        on_sum("reciprocal", |x| x.reciprocal()),
        on_sum("sigmoid", |x| x.sigmoid()),
        on_sum("sign", |x| x.sign()),
        on_sum("silu", |x| x.silu()),
        on_sum("softplus", |x| x.softplus()),
        on_sum("sqrt", |x| x.sqrt()),
        on_sum("square", |x| x.square()),
        on_sum("tanh", |x| x.tanh()),
        on_sum("fused_sigmoid_affine", |x| x.sigmoid().affine(0.5, -0.2)),
        on_sum("fused_lerp of two steps", |x| {
            let t = x.graph().constant([1], &[0.25]);
            x.lerp(x.graph().fill(x.shape(), 1.5), t).lerp(x.graph().fill(x.shape(), -0.5), t)
        }),
        on_sum("fused_lerp of three steps", |x| {
            let (t, fill) = (x.graph().constant([1], &[0.25]), |value| x.graph().fill(x.shape(), value));
            x.lerp(fill(1.5), t).lerp(fill(-0.5), t).lerp(fill(3.0), t)
        }),
        Case::new("accumulate", pair(ANY), |x| (x[0] + x[1]).accumulate(x[1])),
        Case::new("bce_logits", pair(ANY), |x| (x[0] + x[1]).bce_logits(x[0])),
        Case::new("elu", pair(ANY), |x| (x[0] + x[1]).elu(0.7)),
        Case::new("leaky_relu_grad", pair(ANY), |x| x[0].leaky_relu_grad(x[0] + x[1], 0.2)),
        Case::new("tanh_grad", pair(ANY), |x| x[0].tanh_grad(x[0] + x[1])),
        Case::new("sigmoid_grad", pair(ANY), |x| x[0].sigmoid_grad(x[0] + x[1])),
        Case::new("clamp_mask", pair(ANY), |x| x[0].clamp_mask(x[0] + x[1], -1.0, 1.0)),
    ];
    let mut counted = pair(ANY);
    counted.push(leaf("counter", [1], Domain::Below(1000)));
    cases.push(Case::new("dropout", counted, |x| {
        node(ops::Dropout { rate: 0.3, seed: 5 }, &[x[0] + x[1], x[2]])
    }));
    let mut moved = pair(ANY);
    moved.push(leaf("t", [1], ANY));
    cases.push(Case::new("lerp", moved, |x| (x[0] + x[1]).lerp(x[0], x[2])));
    let mut normalised = pair(ANY);
    let rows = |name| leaf(name, [2, 9], Domain::Within(0.3, 2.0));
    let channels = |name| leaf(name, [9], ANY);
    normalised.extend([rows("stats"), channels("gamma"), channels("beta"), rows("sums")]);
    cases.push(Case::new("batch_norm", normalised.clone(), |x| {
        (x[0] + x[1]).batch_norm(x[2], x[3], x[4], 1e-3)
    }));
    cases.push(Case::new("batch_norm_grad", normalised, |x| {
        node(ops::BatchNormGrad { eps: 1e-3, groups: 1 }, &[x[0], x[0] + x[1], x[2], x[3], x[5]])
    }));
    cases
}

#[test]
fn operations_in_place() {
    for checked in [false, true] {
        let Some(gpu) = device(checked) else { return };
        for case in in_place() {
            agrees(gpu, &case, Derivative::Missing, Random::new(13))
                .unwrap_or_else(|e| panic!("{case:?}: {e}"));
        }
    }
}

#[test]
fn products_of_every_variant() {
    let Some(gpu) = device(false) else { return };
    for case in products() {
        agrees(gpu, &case, Derivative::Exists, Random::new(11)).unwrap_or_else(|e| panic!("{case:?}: {e}"));
    }
}

#[test]
fn products_of_every_tile() {
    for (checked, every) in [(false, 1), (true, 7)] {
        let Some(gpu) = device(checked) else { return };
        for case in products_of_many_results().iter().step_by(every) {
            agrees(gpu, case, Derivative::Missing, Random::new(14))
                .unwrap_or_else(|e| panic!("{case:?}: {e}"));
        }
    }
}

#[test]
fn sums_in_several_parts() {
    let Some(gpu) = device(false) else { return };
    for case in long_sums() {
        agrees(gpu, &case, Derivative::Exists, Random::new(12)).unwrap_or_else(|e| panic!("{case:?}: {e}"));
    }
}

#[test]
fn statistics_of_numbers_far_from_zero_keep_their_digits() {
    let Some(gpu) = device(false) else { return };
    for rows in [100, 6000] {
        let leaves = vec![leaf("x", [rows, 5], Domain::Within(1000.0, 1001.0))];
        let graph = Graph::new();
        let case = Case::of(leaves, || ops::BatchStats { groups: 1 });
        let trial = Trial::new(&graph, &case, Derivative::Exists, &mut Random::new(5)).expect("a trial");
        let evaluation = Evaluation::<f64>::new(&[trial.y], |name| trial.values(name).to_vec());
        let found = evaluate(gpu, &[("y".into(), trial.y)], true, |name| trial.values(name).to_vec());
        for (found, expected) in found.expect("values")[0].iter().zip(evaluation.value(trial.y)) {
            assert!((found - expected).abs() < 1e-6 * expected.abs(), "{found} for {expected}, {rows} rows");
        }
    }
}

#[test]
fn the_gradient_of_a_confident_discriminator_keeps_its_digits() {
    let Some(gpu) = device(false) else { return };
    let graph = Graph::new();
    let op = ops::FusedSigmoidAffine { scale: 0.25, shift: -0.25 };
    let y = node(op, &[graph.input("x", [60])]);
    let found =
        evaluate(gpu, &[("y".into(), y)], true, |_| (0..60).map(f64::from).collect()).expect("values");
    for (x, found) in found[0].iter().enumerate() {
        let expected = -0.25 / (1.0 + (x as f64).exp());
        let bound = f64::from(f32::EPSILON) * (x as f64 + 4.0) * expected.abs();
        assert!((found - expected).abs() <= bound, "{found} for {expected} at {x}");
    }
}

#[test]
fn softmax_finds_the_largest_wherever_it_is() {
    let Some(gpu) = device(false) else { return };
    let classes = 70;
    let graph = Graph::new();
    let y = node(ops::Softmax, &[graph.input("x", [classes, classes])]);
    // Without the shift by 150 the exponential is infinite.
    let largest = |i: usize| f64::from(u8::from(i / classes == i % classes));
    let values = |_: &str| (0..classes * classes).map(|i| 150.0 * largest(i)).collect();
    let found = evaluate(gpu, &[("y".into(), y)], true, values).expect("values");
    let wrong = found[0].iter().enumerate().find(|(i, y)| **y != largest(*i));
    assert_eq!(wrong, None, "first wrong element");
}

#[test]
fn grids_over_65535_workgroups_are_folded() {
    let Some(gpu) = device(false) else { return };
    // A convolution with one channel has 64 elements to a workgroup: 4.2 million elements are over the limit.
    let (h, w) = (2051, 2049);
    let graph = Graph::new();
    let x = graph.input("x", [1, h, w, 1]);
    let y = x.conv2d(graph.constant([1, 1, 1, 1], &[3.0]), [1, 1], Padding::Valid);
    let outputs = [("y".to_string(), y), ("sum".to_string(), y.sum_all())];
    let value = |i: usize| (i % 1021) as f64 - 500.0;
    let found = evaluate(gpu, &outputs, true, |_| (0..h * w).map(value).collect()).expect("values");
    let wrong = found[0].iter().enumerate().find(|(i, y)| **y != 3.0 * value(*i));
    assert_eq!(wrong, None, "first wrong element of {}", h * w);
    let sum: f64 = (0..h * w).map(|i| 3.0 * value(i)).sum();
    assert!((found[1][0] - sum).abs() < 1e-6 * 750.0 * (h * w) as f64, "{} for {sum}", found[1][0]);
}

#[test]
fn every_shader_is_used() {
    let used: RefCell<BTreeSet<&'static str>> = RefCell::default();
    let draw = |case: &Case, derivative: Derivative, mut random: Random| {
        let graph = Graph::new();
        let trial = Trial::new(&graph, case, derivative, &mut random).map_err(|e| e.to_string())?;
        let outputs = trial.outputs();
        let plan = outputs.iter().fold(graph.plan(), |plan, (name, var)| plan.output(name, *var));
        let plan = plan.build().map_err(|e| e.to_string())?;
        for launch in launches(&plan).map_err(|e| e.to_string())? {
            used.borrow_mut().extend(launch.dispatches.iter().map(|dispatch| dispatch.shader.name));
        }
        Ok(())
    };
    for row in rows::all() {
        check(&row, CASES[0], |case, random| draw(case, row.derivative, random));
    }
    let larger = products().into_iter().chain(long_sums()).map(|case| (case, Derivative::Exists));
    let others = in_place().into_iter().chain(products_of_many_results());
    for (case, derivative) in larger.chain(others.map(|case| (case, Derivative::Missing))) {
        draw(&case, derivative, Random::new(0)).unwrap_or_else(|e| panic!("{case:?}: {e}"));
    }
    // Made of two operations; `gather::running_statistics_are_moved_where_they_are_found` reaches them.
    used.borrow_mut().extend(super::gather::RUNNING);
    let all = gannet_shaders::all().iter().map(|shader| shader.name);
    let unused: Vec<&str> = all.filter(|name| !used.borrow().contains(name)).collect();
    assert!(unused.is_empty(), "no test reaches these shaders: {unused:?}");
}
