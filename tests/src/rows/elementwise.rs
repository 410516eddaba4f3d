//! Operations on each element by itself, with or without broadcasting.

use gannet_tensor::{Operation, Shape, Var, ops};
use proptest::prelude::*;

use crate::case::{Case, Derivative, Domain, Row, leaf, node};
use crate::shapes::{any_shape, broadcasting_pair};

use Domain::{Apart, Below, Grid, Within};

/// A row of an operation on one tensor.
fn unary<O: Operation>(name: &'static str, domain: Domain, op: fn() -> O) -> Row {
    let cases = any_shape().prop_map(move |shape| Case::of(vec![leaf("x", shape, domain)], op));
    Row { name, derivative: Derivative::Exists, cases: cases.boxed() }
}

/// A row of an operation on two tensors of one shape.
fn pair<O: Operation>(name: &'static str, leaves: [(&'static str, Domain); 2], op: fn() -> O) -> Row {
    let cases = any_shape()
        .prop_map(move |shape| Case::of(leaves.map(|(name, domain)| leaf(name, shape, domain)).to_vec(), op));
    Row { name, derivative: Derivative::Exists, cases: cases.boxed() }
}

/// A row of an operation on two tensors that broadcast.
fn binary<O: Operation>(name: &'static str, domains: [Domain; 2], op: fn() -> O) -> Row {
    let cases = broadcasting_pair()
        .prop_map(move |[a, b]| Case::of(vec![leaf("a", a, domains[0]), leaf("b", b, domains[1])], op));
    Row { name, derivative: Derivative::Exists, cases: cases.boxed() }
}

/// Away from the kink at 0.
pub fn abs() -> Row {
    unary("abs", Apart(0.1, 3.0), || ops::Abs)
}

/// Any values.
pub fn add() -> Row {
    binary("add", [Within(-2.0, 2.0), Within(-2.0, 2.0)], || ops::Add)
}

/// Any factor and shift.
pub fn affine() -> Row {
    let cases = (any_shape(), -3i8..4, -3i8..4).prop_map(|(shape, scale, shift)| {
        let (scale, shift) = (f64::from(scale) * 0.7, f64::from(shift) * 0.3);
        Case::of(vec![leaf("x", shape, Within(-2.0, 2.0))], move || ops::Affine { scale, shift })
    });
    Row { name: "affine", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// Logits on both sides, some where e^x would overflow an f32; targets hard and soft.
pub fn bce_logits() -> Row {
    let cases = (any_shape(), prop_oneof![Just(3.0), Just(100.0)]).prop_map(|(shape, most)| {
        let leaves = vec![leaf("x", shape, Within(-most, most)), leaf("t", shape, Within(0.0, 1.0))];
        Case::of(leaves, || ops::BceLogits)
    });
    Row { name: "bce_logits", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// Probabilities on both sides of the clip, and away from it.
pub fn bce_probabilities() -> Row {
    let cases = (any_shape(), any::<bool>()).prop_map(|(shape, clipped)| {
        let (clip, p) = if clipped { (0.25, Grid(0.125)) } else { (1e-7, Within(0.05, 0.95)) };
        let leaves = vec![leaf("p", shape, p), leaf("t", shape, Within(0.0, 1.0))];
        Case::new(format!("bce_probabilities, clip {clip}"), leaves, move |x| {
            x[0].bce_probabilities(x[1], clip)
        })
    });
    Row { name: "bce_probabilities", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// Values below, between and above the bounds, and on neither.
pub fn clamp() -> Row {
    unary("clamp", Grid(0.125), || ops::Clamp { low: -0.5, high: 0.75 })
}

/// As [`clamp`].
pub fn clamp_mask() -> Row {
    pair("clamp_mask", [("x", Grid(0.125)), ("dy", Within(-2.0, 2.0))], || ops::ClampMask {
        low: -0.5,
        high: 0.75,
    })
}

/// Away from the pole at 0.
pub fn div() -> Row {
    binary("div", [Within(-2.0, 2.0), Apart(0.5, 2.0)], || ops::Div)
}

/// Several rates, seeds and steps; the mask does not depend on x.
pub fn dropout() -> Row {
    let rates = prop_oneof![Just(0.0), Just(0.25), Just(0.5), Just(0.9)];
    let cases = (any_shape(), rates, any::<u32>(), any::<bool>()).prop_map(|(shape, rate, seed, scalar)| {
        let counter = if scalar { Shape::SCALAR } else { Shape::from([1]) };
        let leaves = vec![leaf("x", shape, Within(-2.0, 2.0)), leaf("counter", counter, Below(1 << 20))];
        Case::of(leaves, move || ops::Dropout { rate, seed })
    });
    Row { name: "dropout", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// Several alphas, for one of which the derivative has no kink; away from the kink at 0.
pub fn elu() -> Row {
    let cases =
        (any_shape(), alpha(), prop_oneof![Just(3.0), Just(20.0)]).prop_map(|(shape, alpha, most)| {
            Case::of(vec![leaf("x", shape, Apart(0.01, most))], move || ops::Elu { alpha })
        });
    Row { name: "elu", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// As [`elu`].
pub fn elu_grad() -> Row {
    let cases = (any_shape(), alpha()).prop_map(|(shape, alpha)| {
        let leaves = vec![leaf("y", shape, Apart(0.1, 2.0)), leaf("dy", shape, Within(-2.0, 2.0))];
        Case::of(leaves, move || ops::EluGrad { alpha })
    });
    Row { name: "elu_grad", derivative: Derivative::Exists, cases: cases.boxed() }
}

fn alpha() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1.0), Just(0.0), Just(0.3)]
}

/// On both sides, near 0 and into the tails.
pub fn gelu() -> Row {
    let domain = prop_oneof![Just(Within(-1.5, 1.5)), Just(Within(-7.0, 7.0))];
    let cases = (any_shape(), domain)
        .prop_map(|(shape, domain)| Case::of(vec![leaf("x", shape, domain)], || ops::Gelu));
    Row { name: "gelu", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// As [`gelu`].
pub fn normal_cdf() -> Row {
    let domain = prop_oneof![Just(Within(-1.5, 1.5)), Just(Within(-7.0, 7.0))];
    let cases = (any_shape(), domain)
        .prop_map(|(shape, domain)| Case::of(vec![leaf("x", shape, domain)], || ops::NormalCdf));
    Row { name: "normal_cdf", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// Far enough to both sides to saturate.
pub fn silu() -> Row {
    unary("silu", Within(-20.0, 20.0), || ops::Silu)
}

/// Far enough to both sides to need range reduction.
pub fn exp() -> Row {
    unary("exp", Within(-20.0, 4.0), || ops::Exp)
}

/// No two values equal.
pub fn greater() -> Row {
    Row { derivative: Derivative::Zero, ..binary("greater", [Grid(0.0), Grid(0.125)], || ops::Greater) }
}

/// Several slopes, among them that of ReLU; away from the kink at 0.
pub fn leaky_relu() -> Row {
    let cases = (any_shape(), slope()).prop_map(|(shape, slope)| leaky_relu_case(shape, slope));
    Row { name: "leaky_relu", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// LeakyReLU of a tensor of the given shape.
pub fn leaky_relu_case(shape: Shape, negative_slope: f64) -> Case {
    Case::of(vec![leaf("x", shape, Apart(0.1, 2.0))], move || ops::LeakyRelu { negative_slope })
}

/// As [`leaky_relu`].
pub fn leaky_relu_grad() -> Row {
    let cases = (any_shape(), slope()).prop_map(|(shape, negative_slope)| {
        let leaves = vec![leaf("y", shape, Apart(0.1, 2.0)), leaf("dy", shape, Within(-2.0, 2.0))];
        Case::of(leaves, move || ops::LeakyReluGrad { negative_slope })
    });
    Row { name: "leaky_relu_grad", derivative: Derivative::Exists, cases: cases.boxed() }
}

fn slope() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(0.2), Just(0.01)]
}

/// Any values.
pub fn accumulate() -> Row {
    pair("accumulate", [("a", Within(-2.0, 2.0)), ("b", Within(-2.0, 2.0))], || ops::Accumulate)
}

/// Any values; t as a scalar and as a vector of one element.
pub fn lerp() -> Row {
    let cases = (any_shape(), any::<bool>()).prop_map(|(shape, scalar)| {
        let t = if scalar { Shape::SCALAR } else { Shape::from([1]) };
        let leaves = vec![
            leaf("a", shape, Within(-2.0, 2.0)),
            leaf("b", shape, Within(-2.0, 2.0)),
            leaf("t", t, Within(0.0, 1.0)),
        ];
        Case::of(leaves, || ops::Lerp)
    });
    Row { name: "lerp", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// Positive values, on both sides of 1.
pub fn log() -> Row {
    unary("log", Within(0.1, 20.0), || ops::Log)
}

/// No two values equal.
pub fn maximum() -> Row {
    binary("maximum", [Grid(0.0), Grid(0.125)], || ops::Maximum)
}

/// Any values.
pub fn mul() -> Row {
    binary("mul", [Within(-2.0, 2.0), Within(-2.0, 2.0)], || ops::Mul)
}

/// Away from the pole at 0.
pub fn reciprocal() -> Row {
    unary("reciprocal", Apart(0.25, 4.0), || ops::Reciprocal)
}

/// On both sides of 0, where the kernel takes different forms.
pub fn sigmoid() -> Row {
    unary("sigmoid", Within(-12.0, 12.0), || ops::Sigmoid)
}

/// Any values: the operation does not ask y to be a sigmoid.
pub fn sigmoid_grad() -> Row {
    pair("sigmoid_grad", [("y", Within(0.0, 1.0)), ("dy", Within(-2.0, 2.0))], || ops::SigmoidGrad)
}

/// Away from the step at 0.
pub fn sign() -> Row {
    Row { derivative: Derivative::Zero, ..unary("sign", Apart(0.1, 2.0), || ops::Sign) }
}

/// On both sides of 0, where the kernel takes different forms.
pub fn softplus() -> Row {
    unary("softplus", Within(-12.0, 12.0), || ops::Softplus)
}

/// Away from 0, where the derivative is infinite.
pub fn sqrt() -> Row {
    unary("sqrt", Within(0.1, 9.0), || ops::Sqrt)
}

/// Any values.
pub fn square() -> Row {
    unary("square", Within(-2.0, 2.0), || ops::Square)
}

/// Any values.
pub fn sub() -> Row {
    binary("sub", [Within(-2.0, 2.0), Within(-2.0, 2.0)], || ops::Sub)
}

/// Near 0, where the quotient of exponentials cancels, and near saturation.
pub fn tanh() -> Row {
    let domain = prop_oneof![Just(Within(-0.05, 0.05)), Just(Within(-6.0, 6.0))];
    let cases = (any_shape(), domain)
        .prop_map(|(shape, domain)| Case::of(vec![leaf("x", shape, domain)], || ops::Tanh));
    Row { name: "tanh", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// Any values: the operation does not ask y to be a tanh.
pub fn tanh_grad() -> Row {
    pair("tanh_grad", [("y", Within(-1.0, 1.0)), ("dy", Within(-2.0, 2.0))], || ops::TanhGrad)
}

/// The operators of `Var`, also with a number or a constant on one side: y = (-a + 2) / 4 - b * 3 + (1 - b).
pub fn operators() -> Row {
    let cases = broadcasting_pair().prop_map(|[a, b]| {
        let leaves = vec![leaf("a", a, Within(-2.0, 2.0)), leaf("b", b, Within(-2.0, 2.0))];
        Case::new("the operators of Var", leaves, |x: &[Var<'_>]| {
            let (a, b) = (x[0], x[1]);
            let one = a.graph().fill(b.shape(), 1.0);
            let half = a.graph().scalar(0.5);
            let moved = node(ops::CopyTo, &[b]);
            (-a + 2.0) / 4.0 - moved * 3.0 + (one - b) + half * b + (b + half) + (b - half) / half
        })
    });
    Row { name: "operators", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// Saturated logits too.
pub fn fused_bce_sum() -> Row {
    let cases = (any_shape(), prop_oneof![Just(1.0), Just(0.125)]).prop_map(|(shape, scale)| {
        let leaves = vec![leaf("x", shape, Within(-3.0, 3.0)), leaf("t", shape, Within(0.0, 1.0))];
        Case::of(leaves, move || ops::FusedBceSum { scale })
    });
    Row { name: "fused_bce_sum", derivative: Derivative::Exists, cases: cases.boxed() }
}

/// As the gradient of a cross-entropy has it, and otherwise.
pub fn fused_sigmoid_affine() -> Row {
    unary("fused_sigmoid_affine", Within(-4.0, 4.0), || ops::FusedSigmoidAffine { scale: 0.25, shift: -0.2 })
}

/// Two and three steps.
pub fn fused_lerp() -> Row {
    let cases = (any_shape(), any::<bool>()).prop_map(|(shape, three)| {
        let mut leaves = vec![
            leaf("a", shape, Within(-2.0, 2.0)),
            leaf("b", shape, Within(-2.0, 2.0)),
            leaf("c", shape, Within(-2.0, 2.0)),
        ];
        leaves.extend(three.then(|| leaf("d", shape, Within(-2.0, 2.0))));
        leaves.push(leaf("t", [1], Within(0.0, 1.0)));
        Case::of(leaves, || ops::FusedLerp)
    });
    Row { name: "fused_lerp", derivative: Derivative::Exists, cases: cases.boxed() }
}
