//! Sums, means and softmax.

use gannet_tensor::{Shape, ops};
use proptest::prelude::*;

use crate::case::{Case, Derivative, Domain, Row, leaf};
use crate::shapes::{any_shape, edge};

use Domain::{Below, Within};

const ANY: Domain = Within(-2.0, 2.0);
/// Far enough apart that exp overflows without a shift.
const SCORES: Domain = Within(-60.0, 60.0);

fn row(name: &'static str, cases: impl Strategy<Value = Case> + 'static) -> Row {
    Row { name, derivative: Derivative::Exists, cases: cases.boxed() }
}

/// A shape and some of its axes, at least one.
fn with_axes() -> impl Strategy<Value = (Shape, Vec<usize>)> {
    let axes =
        |shape: Shape| prop::sample::subsequence((0..shape.rank()).collect::<Vec<_>>(), 1..=shape.rank());
    any_shape().prop_flat_map(move |shape| (Just(shape), axes(shape)))
}

/// Any axes: leading, trailing, both, all.
pub fn sum() -> Row {
    row(
        "sum",
        with_axes().prop_map(|(shape, axes)| {
            Case::of(vec![leaf("x", shape, ANY)], move || ops::Sum { axes: axes.clone() })
        }),
    )
}

/// As [`sum`].
pub fn mean() -> Row {
    row(
        "mean",
        with_axes().prop_map(|(shape, axes)| {
            Case::new(format!("mean over {axes:?}"), vec![leaf("x", shape, ANY)], move |x| x[0].mean(&axes))
        }),
    )
}

/// As [`sum`], of elements that are all different.
pub fn max() -> Row {
    row(
        "max",
        with_axes().prop_map(|(shape, axes)| {
            Case::of(vec![leaf("x", shape, Domain::Distinct)], move || ops::Max { axes: axes.clone() })
        }),
    )
}

/// Any axis, of elements that are all different.
pub fn argmax() -> Row {
    let cases =
        any_shape().prop_flat_map(|shape| (Just(shape), 0..shape.rank())).prop_map(|(shape, axis)| {
            Case::of(vec![leaf("x", shape, Domain::Distinct)], move || ops::Argmax { axis })
        });
    Row { derivative: Derivative::Missing, ..row("argmax", cases) }
}

/// One to many classes, values far enough apart to need the shift by the largest.
pub fn softmax() -> Row {
    row(
        "softmax",
        any_shape()
            .prop_filter("rows of a moderate length", |s| s.last() <= 1000)
            .prop_map(|shape| Case::of(vec![leaf("x", shape, SCORES)], || ops::Softmax)),
    )
}

/// As [`softmax`]; ids within and outside the classes.
pub fn softmax_cross_entropy() -> Row {
    row(
        "softmax_cross_entropy",
        (edge(), edge(), 0..2usize).prop_map(|(n, classes, outside)| {
            let ids = leaf("ids", [n], Below(classes + outside));
            Case::of(vec![leaf("x", [n, classes], SCORES), ids], || ops::SoftmaxCrossEntropy)
        }),
    )
}
