//! Operations that move elements and compute nothing, with their adjoints.

use gannet_tensor::{Shape, Var, ops};
use proptest::prelude::*;
use proptest::sample::select;

use crate::case::{Case, Derivative, Domain, Leaf, Row, leaf};
use crate::shapes::{any_shape, broadcasting_pair, edge};

use Domain::{Below, Within};

const ANY: Domain = Within(-2.0, 2.0);

fn row(name: &'static str, cases: impl Strategy<Value = Case> + 'static) -> Row {
    Row { name, derivative: Derivative::Exists, cases: cases.boxed() }
}

fn x(shape: Shape) -> Vec<Leaf> {
    vec![leaf("x", shape, ANY)]
}

/// A shape and one of its axes.
fn with_axis() -> impl Strategy<Value = (Shape, usize)> {
    any_shape().prop_flat_map(|shape| (Just(shape), 0..shape.rank()))
}

/// Axes stretched, and axes in front.
pub fn broadcast_to() -> Row {
    row(
        "broadcast_to",
        broadcasting_pair().prop_filter_map("they broadcast", |[a, b]| {
            let shape = Shape::broadcast(a, b).ok()?;
            Some(Case::of(x(b), move || ops::BroadcastTo { shape }))
        }),
    )
}

/// One to four pieces of different sizes along any axis.
pub fn concat() -> Row {
    row(
        "concat",
        (with_axis(), prop::collection::vec(1..9usize, 1..5)).prop_map(|((shape, axis), sizes)| {
            let names = ["a", "b", "c", "d"];
            let leaves = sizes.iter().zip(names).map(|(&n, name)| leaf(name, shape.with_dim(axis, n), ANY));
            Case::of(leaves.collect(), move || ops::Concat { axis })
        }),
    )
}

/// Any shape.
pub fn copy_to() -> Row {
    row("copy_to", any_shape().prop_map(|shape| Case::of(x(shape), || ops::CopyTo)))
}

/// Ids that repeat, ids that lack, and ids outside the table.
pub fn embedding() -> Row {
    row(
        "embedding",
        (edge(), edge(), edge(), 0..3usize).prop_map(|(rows, width, count, outside)| {
            let ids = leaf("ids", [count], Below(rows + outside));
            Case::of(vec![leaf("table", [rows, width], ANY), ids], || ops::Embedding)
        }),
    )
}

/// As [`embedding`].
pub fn embedding_grad() -> Row {
    row(
        "embedding_grad",
        (edge(), edge(), edge(), 0..3usize).prop_map(|(rows, width, count, outside)| {
            let ids = leaf("ids", [count], Below(rows + outside));
            Case::of(vec![ids, leaf("dy", [count, width], ANY)], move || ops::EmbeddingGrad { rows })
        }),
    )
}

/// Ids within and outside the depth.
pub fn one_hot() -> Row {
    let cases = (edge(), edge(), 0..3usize).prop_map(|(count, depth, outside)| {
        Case::of(vec![leaf("ids", [count], Below(depth + outside))], move || ops::OneHot { depth })
    });
    Row { name: "one_hot", derivative: Derivative::Zero, cases: cases.boxed() }
}

/// Pieces side by side and with gaps between them.
pub fn pack() -> Row {
    row(
        "pack",
        (prop::collection::vec((any_shape(), 0..70usize), 1..5)).prop_map(|pieces| {
            let names = ["a", "b", "c", "d"];
            let (mut leaves, mut offsets, mut len) = (Vec::new(), Vec::new(), 0);
            for ((shape, gap), name) in pieces.into_iter().zip(names) {
                leaves.push(leaf(name, shape, ANY));
                offsets.push(len);
                len += shape.len() + gap;
            }
            Case::of(leaves, move || ops::Pack { offsets: offsets.clone(), len })
        }),
    )
}

/// Any axis, with zeros on either side or none.
pub fn pad() -> Row {
    row(
        "pad",
        (with_axis(), 0..5usize, 0..5usize).prop_map(|((shape, axis), before, after)| {
            Case::of(x(shape), move || ops::Pad { axis, before, after })
        }),
    )
}

/// Every order of the axes.
pub fn permute() -> Row {
    let order = any_shape()
        .prop_flat_map(|shape| (Just(shape), Just((0..shape.rank()).collect::<Vec<_>>()).prop_shuffle()));
    row(
        "permute",
        order.prop_map(|(shape, axes)| Case::of(x(shape), move || ops::Permute { axes: axes.clone() })),
    )
}

/// To one axis, to a column, and to two axes exchanged.
pub fn reshape() -> Row {
    row(
        "reshape",
        (any_shape(), 0..3usize).prop_map(|(from, kind)| {
            let n = from.len();
            let first = from.dims()[0];
            let shape = [Shape::from([n]), Shape::from([n, 1]), Shape::from([n / first, first])][kind];
            Case::of(x(from), move || ops::Reshape { shape })
        }),
    )
}

/// Any axis, any part of it.
pub fn slice() -> Row {
    let part = with_axis().prop_flat_map(|(shape, axis)| {
        let size = shape.dims()[axis];
        (Just((shape, axis)), (0..size).prop_flat_map(move |start| (Just(start), start + 1..=size)))
    });
    row(
        "slice",
        part.prop_map(|((shape, axis), (start, end))| {
            Case::of(x(shape), move || ops::Slice { axis, start, end })
        }),
    )
}

/// Any shape; the derivative is zero by declaration.
pub fn stop_gradient() -> Row {
    let cases = any_shape().prop_map(|shape| Case::of(x(shape), || ops::StopGradient));
    Row { name: "stop_gradient", derivative: Derivative::Zero, cases: cases.boxed() }
}

/// Different factors down and across.
pub fn upsample_nearest() -> Row {
    let sizes = (1..3usize, 1..6usize, 1..9usize, select(&[1, 3, 4, 8, 17][..]));
    row(
        "upsample_nearest",
        (sizes, [1..4usize, 1..4usize]).prop_map(|((n, h, w, c), factor)| {
            Case::of(x(Shape::from([n, h, w, c])), move || ops::UpsampleNearest { factor })
        }),
    )
}

/// A view of a view of a concatenation: what a flat vector of parameters is to its layers.
pub fn views() -> Row {
    row(
        "views",
        (1..9usize, edge()).prop_map(|(m, n)| {
            let leaves = vec![leaf("a", [2 * m, n], ANY), leaf("b", [m, n], ANY)];
            Case::new("slices and reshapes of a concatenation", leaves, move |x: &[Var<'_>]| {
                let whole = Var::concat(&[x[0].square(), x[1]], 0);
                let rows = whole.slice(0, m, 3 * m).reshape([2, m * n]);
                rows.slice(0, 1, 2).reshape([m, n]) * rows.slice(0, 0, 1).reshape([m, n])
            })
        }),
    )
}
