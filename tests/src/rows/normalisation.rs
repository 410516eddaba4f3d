//! Batch normalisation and its parts.

use gannet_tensor::ops::Activation;
use gannet_tensor::{Shape, ops};
use proptest::prelude::*;

use crate::case::{Case, Derivative, Domain, Leaf, Row, leaf, node};
use crate::shapes::batch;

const ANY: Domain = Domain::Within(-2.0, 2.0);
/// Positive, as a variance must be; it serves as a mean as well.
const STATS: Domain = Domain::Within(0.3, 2.0);

fn row(name: &'static str, cases: impl Strategy<Value = Case> + 'static) -> Row {
    Row { name, derivative: Derivative::Exists, cases: cases.boxed() }
}

fn stats(x: Shape, groups: usize, name: &'static str, domain: Domain) -> Leaf {
    leaf(name, [2 * groups, x.last()], domain)
}

fn eps() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1e-3), Just(1e-2)]
}

/// Inference: given statistics, which have a derivative of their own.
pub fn batch_norm() -> Row {
    row(
        "batch_norm",
        (batch(), eps()).prop_map(|((x, groups), eps)| {
            let leaves = vec![
                leaf("x", x, ANY),
                stats(x, groups, "stats", STATS),
                leaf("gamma", [x.last()], ANY),
                leaf("beta", [x.last()], ANY),
            ];
            Case::of(leaves, move || ops::BatchNorm { eps, groups, training: false })
        }),
    )
}

/// Training, with one and with two groups: the statistics are those of x, and differentiated through.
pub fn batch_norm_train() -> Row {
    row(
        "batch_norm_train",
        (batch(), eps()).prop_map(|((x, groups), eps)| batch_norm_train_case(x, groups, eps)),
    )
}

/// Batch normalisation in training mode.
pub fn batch_norm_train_case(x: Shape, groups: usize, eps: f64) -> Case {
    let leaves = vec![leaf("x", x, ANY), leaf("gamma", [x.last()], ANY), leaf("beta", [x.last()], ANY)];
    Case::new(format!("batch_norm_train, eps {eps}, groups {groups}"), leaves, move |x| {
        x[0].batch_norm_train(x[1], x[2], eps, groups).0
    })
}

/// As an operation of five inputs that need not belong together.
pub fn batch_norm_grad() -> Row {
    row(
        "batch_norm_grad",
        (batch(), eps()).prop_map(|((x, groups), eps)| {
            let leaves = vec![
                leaf("x", x, ANY),
                leaf("dy", x, ANY),
                stats(x, groups, "stats", STATS),
                leaf("gamma", [x.last()], ANY),
                stats(x, groups, "sums", ANY),
            ];
            Case::of(leaves, move || ops::BatchNormGrad { eps, groups })
        }),
    )
}

/// As an operation of three inputs that need not belong together.
pub fn batch_norm_sums() -> Row {
    row(
        "batch_norm_sums",
        (batch(), eps()).prop_map(|((x, groups), eps)| {
            let leaves = vec![leaf("x", x, ANY), leaf("dy", x, ANY), stats(x, groups, "stats", STATS)];
            Case::of(leaves, move || ops::BatchNormSums { eps, groups })
        }),
    )
}

/// One and two groups.
pub fn batch_stats() -> Row {
    row(
        "batch_stats",
        batch().prop_map(|(x, groups)| Case::of(vec![leaf("x", x, ANY)], move || ops::BatchStats { groups })),
    )
}

/// Inference with each activation. gamma is small and beta is not, so that nothing is near a kink.
pub fn fused_batch_norm() -> Row {
    let activations = prop_oneof![
        Just(Activation::LeakyRelu { negative_slope: 0.2 }),
        Just(Activation::LeakyRelu { negative_slope: 0.0 }),
        Just(Activation::Tanh),
        Just(Activation::Sigmoid),
    ];
    row(
        "fused_batch_norm",
        (batch(), eps(), activations).prop_map(|((x, groups), eps, activation)| {
            let leaves = vec![
                leaf("x", x, Domain::Within(-1.0, 1.0)),
                stats(x, groups, "stats", STATS),
                leaf("gamma", [x.last()], Domain::Within(-0.1, 0.1)),
                leaf("beta", [x.last()], Domain::Apart(1.0, 2.0)),
            ];
            Case::of(leaves, move || ops::FusedBatchNorm { eps, groups, training: false, activation })
        }),
    )
}

/// Training with an activation behind it: what fusion makes of a layer.
pub fn fused_batch_norm_train() -> Row {
    row(
        "fused_batch_norm_train",
        (batch(), eps()).prop_map(|((x, groups), eps)| {
            let leaves = vec![
                leaf("x", x, Domain::Within(-1.0, 1.0)),
                leaf("gamma", [x.last()], Domain::Within(-0.05, 0.05)),
                leaf("beta", [x.last()], Domain::Apart(1.0, 2.0)),
            ];
            let activation = Activation::LeakyRelu { negative_slope: 0.2 };
            Case::new(format!("fused_batch_norm, training, groups {groups}"), leaves, move |x| {
                let op = ops::FusedBatchNorm { eps, groups, training: true, activation };
                node(op, &[x[0], x[0].batch_stats(groups), x[1], x[2]])
            })
        }),
    )
}
