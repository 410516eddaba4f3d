//! Steps of optimisers. They have no derivative.

use gannet_tensor::ops;
use proptest::prelude::*;

use crate::case::{Case, Derivative, Domain, Row, leaf};
use crate::shapes::edge;

use Domain::Within;

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![4 => edge(), 1 => Just(20_011)]
}

/// The moments start anywhere, the second at no less than 0.
pub fn adam() -> Row {
    let betas = prop_oneof![Just((0.5, 0.999)), Just((0.9, 0.99))];
    let cases = (lengths(), betas).prop_map(|(n, betas)| adam_case(n, betas));
    Row { name: "adam", derivative: Derivative::Missing, cases: cases.boxed() }
}

/// A step of Adam for `n` parameters.
pub fn adam_case(n: usize, (beta1, beta2): (f64, f64)) -> Case {
    let leaves = vec![
        leaf("state", [3, n], Within(0.01, 1.0)),
        leaf("g", [n], Within(-2.0, 2.0)),
        leaf("scalars", [2], Within(0.001, 0.1)),
    ];
    Case::of(leaves, move || ops::Adam { beta1, beta2 })
}

/// With and without momentum.
pub fn sgd() -> Row {
    let cases = (lengths(), prop_oneof![Just(0.0), Just(0.9)]).prop_map(|(n, momentum)| {
        let leaves = vec![
            leaf("state", [2, n], Within(-1.0, 1.0)),
            leaf("g", [n], Within(-2.0, 2.0)),
            leaf("lr", [1], Within(0.001, 0.1)),
        ];
        Case::of(leaves, move || ops::Sgd { momentum })
    });
    Row { name: "sgd", derivative: Derivative::Missing, cases: cases.boxed() }
}
