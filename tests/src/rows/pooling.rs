//! Poolings and their adjoints.

use gannet_tensor::ops;
use proptest::prelude::*;

use crate::case::{Case, Derivative, Domain, Row, leaf};
use crate::shapes::pooling;

const ANY: Domain = Domain::Within(-2.0, 2.0);

fn row(name: &'static str, cases: impl Strategy<Value = Case> + 'static) -> Row {
    Row { name, derivative: Derivative::Exists, cases: cases.boxed() }
}

/// All geometries.
pub fn avg_pool2d() -> Row {
    row(
        "avg_pool2d",
        pooling().prop_map(|geometry| {
            Case::of(vec![leaf("x", geometry.image(), ANY)], move || ops::AvgPool2d { geometry })
        }),
    )
}

/// All geometries.
pub fn avg_pool2d_grad() -> Row {
    row(
        "avg_pool2d_grad",
        pooling().prop_map(|geometry| {
            Case::of(vec![leaf("dy", geometry.pooled(), ANY)], move || ops::AvgPool2dGrad { geometry })
        }),
    )
}

/// Windows without equal elements.
pub fn max_pool2d() -> Row {
    row(
        "max_pool2d",
        pooling().prop_map(|geometry| {
            let x = leaf("x", geometry.image(), Domain::Distinct);
            Case::of(vec![x], move || ops::MaxPool2d { geometry })
        }),
    )
}

/// Windows without equal elements.
pub fn max_pool2d_grad() -> Row {
    row(
        "max_pool2d_grad",
        pooling().prop_map(|geometry| {
            let leaves =
                vec![leaf("x", geometry.image(), Domain::Distinct), leaf("dy", geometry.pooled(), ANY)];
            Case::of(leaves, move || ops::MaxPool2dGrad { geometry })
        }),
    )
}

/// Windows without equal elements.
pub fn max_pool2d_gather() -> Row {
    row(
        "max_pool2d_gather",
        pooling().prop_map(|geometry| {
            let leaves =
                vec![leaf("x", geometry.image(), Domain::Distinct), leaf("c", geometry.image(), ANY)];
            Case::of(leaves, move || ops::MaxPool2dGather { geometry })
        }),
    )
}
