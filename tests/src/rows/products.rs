//! Matrix products and the three maps of a convolution, bare and with an epilogue.

use gannet_tensor::ops::{Activation, Epilogue};
use gannet_tensor::{Conv2dGeometry, Shape, ops};
use proptest::prelude::*;

use crate::case::{Case, Derivative, Domain, Leaf, Row, leaf};
use crate::shapes::{convolution, product};

const ANY: Domain = Domain::Within(-1.0, 1.0);

fn row(name: &'static str, cases: impl Strategy<Value = Case> + 'static) -> Row {
    Row { name, derivative: Derivative::Exists, cases: cases.boxed() }
}

fn matrices([m, n, k]: [usize; 3], [trans_a, trans_b]: [bool; 2]) -> Vec<Leaf> {
    let a = if trans_a { [k, m] } else { [m, k] };
    let b = if trans_b { [n, k] } else { [k, n] };
    vec![leaf("a", a, ANY), leaf("b", b, ANY)]
}

/// Every combination of transposes; K cut into panels; one row and one column.
pub fn matmul() -> Row {
    row("matmul", product().prop_map(|(sizes, trans)| matmul_case(sizes, trans)))
}

/// C [M, N] = A B, with M, N, K in this order.
pub fn matmul_case(sizes: [usize; 3], trans: [bool; 2]) -> Case {
    let [trans_a, trans_b] = trans;
    Case::of(matrices(sizes, trans), move || ops::MatMul { trans_a, trans_b })
}

/// Every combination of transposes, batches of one and of several.
pub fn batch_matmul() -> Row {
    row(
        "batch_matmul",
        (1..4usize, product()).prop_map(|(batch, (sizes, trans))| batch_matmul_case(batch, sizes, trans)),
    )
}

/// C [batch, M, N] = A B, with M, N, K in this order.
pub fn batch_matmul_case(batch: usize, [m, n, k]: [usize; 3], [trans_a, trans_b]: [bool; 2]) -> Case {
    let a = if trans_a { [batch, k, m] } else { [batch, m, k] };
    let b = if trans_b { [batch, n, k] } else { [batch, k, n] };
    let leaves = vec![leaf("a", a, ANY), leaf("b", b, ANY)];
    Case::of(leaves, move || ops::BatchMatMul { trans_a, trans_b })
}

/// A map of a convolution: its name, and the case of a geometry.
pub type Convolution = (&'static str, fn(Conv2dGeometry) -> Case);

/// The three maps of a convolution.
pub const CONVOLUTIONS: [Convolution; 3] = [
    ("conv2d", conv2d_case),
    ("conv_transpose2d", conv_transpose2d_case),
    ("conv2d_weight_grad", conv2d_weight_grad_case),
];

/// All geometries.
pub fn conv2d() -> Row {
    row("conv2d", convolution().prop_map(conv2d_case))
}

/// y [N, H', W', C_out] from x and w.
pub fn conv2d_case(geometry: Conv2dGeometry) -> Case {
    let leaves = vec![leaf("x", geometry.image(), ANY), leaf("w", geometry.kernel(), ANY)];
    Case::of(leaves, move || ops::Conv2d { geometry })
}

/// All geometries.
pub fn conv_transpose2d() -> Row {
    row("conv_transpose2d", convolution().prop_map(conv_transpose2d_case))
}

/// x [N, H, W, C_in] from y and w.
pub fn conv_transpose2d_case(geometry: Conv2dGeometry) -> Case {
    let leaves = vec![leaf("y", geometry.features(), ANY), leaf("w", geometry.kernel(), ANY)];
    Case::of(leaves, move || ops::ConvTranspose2d { geometry })
}

/// All geometries.
pub fn conv2d_weight_grad() -> Row {
    row("conv2d_weight_grad", convolution().prop_map(conv2d_weight_grad_case))
}

/// w [Kh, Kw, C_in, C_out] from x and y.
pub fn conv2d_weight_grad_case(geometry: Conv2dGeometry) -> Case {
    let leaves = vec![leaf("x", geometry.image(), ANY), leaf("y", geometry.features(), ANY)];
    Case::of(leaves, move || ops::Conv2dWeightGrad { geometry })
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::LeakyRelu { negative_slope: 0.2 }),
        Just(Activation::LeakyRelu { negative_slope: 0.0 }),
        Just(Activation::Tanh),
        Just(Activation::Sigmoid),
    ]
}

fn epilogue() -> impl Strategy<Value = Epilogue> {
    activation().prop_flat_map(|activation| {
        prop_oneof![
            Just(Epilogue::Bias),
            Just(Epilogue::Activation(activation)),
            Just(Epilogue::BiasActivation(activation)),
            Just(Epilogue::ActivationGrad(activation)),
        ]
    })
}

/// The inputs of a fused product of `terms` terms, with a domain that keeps away from the kink of an activation.
fn fused_leaves(mut operands: Vec<Leaf>, epilogue: Epilogue, output: Shape, terms: usize) -> Vec<Leaf> {
    // Products of such operands stay within 1, whatever their signs.
    let small = 1.0 / (terms as f64).sqrt();
    operands.iter_mut().for_each(|operand| operand.domain = Domain::Within(-small, small));
    match epilogue {
        Epilogue::Bias | Epilogue::BiasActivation(_) => {
            operands.push(leaf("bias", [output.last()], Domain::Apart(3.0, 5.0)));
        }
        Epilogue::ActivationGrad(_) => operands.push(leaf("saved", output, Domain::Apart(0.1, 0.9))),
        // Without a bias all terms have one sign: positive or, for an odd number of them, negative.
        Epilogue::Activation(Activation::LeakyRelu { .. }) => {
            operands[1].domain = Domain::Within(0.3, 0.3 + small);
            operands[0].domain = match terms % 2 {
                0 => Domain::Within(0.3, 0.3 + small),
                _ => Domain::Within(-0.3 - small, -0.3),
            };
        }
        Epilogue::Activation(_) => {}
    }
    operands
}

/// Every epilogue.
pub fn fused_matmul() -> Row {
    row(
        "fused_matmul",
        (product(), epilogue()).prop_map(|(([m, n, k], trans), epilogue)| {
            let leaves = fused_leaves(matrices([m, n, k], trans), epilogue, Shape::from([m, n]), k);
            let [trans_a, trans_b] = trans;
            Case::of(leaves, move || ops::FusedMatMul { trans_a, trans_b, epilogue })
        }),
    )
}

/// Every epilogue.
pub fn fused_conv2d() -> Row {
    row(
        "fused_conv2d",
        (convolution(), epilogue()).prop_filter_map("every pixel is reached", |(geometry, epilogue)| {
            let g = geometry;
            let leaves = vec![leaf("x", g.image(), ANY), leaf("w", g.kernel(), ANY)];
            let terms = g.kernel_h * g.kernel_w * g.in_c;
            let leaves = fused_leaves(leaves, epilogue, g.features(), terms);
            (reaches_all(&g) || epilogue.has_bias())
                .then(|| Case::of(leaves, move || ops::FusedConv2d { geometry, epilogue }))
        }),
    )
}

/// Every epilogue.
pub fn fused_conv_transpose2d() -> Row {
    row(
        "fused_conv_transpose2d",
        (convolution(), epilogue()).prop_filter_map("every pixel is reached", |(geometry, epilogue)| {
            let g = geometry;
            let leaves = vec![leaf("y", g.features(), ANY), leaf("w", g.kernel(), ANY)];
            let terms = g.kernel_h * g.kernel_w * g.out_c;
            let leaves = fused_leaves(leaves, epilogue, g.image(), terms);
            (reaches_all(&g) || epilogue.has_bias())
                .then(|| Case::of(leaves, move || ops::FusedConvTranspose2d { geometry, epilogue }))
        }),
    )
}

/// Whether every window sees the image and every pixel of the image is seen: otherwise an output is exactly
/// 0, on the kink of an activation.
fn reaches_all(g: &Conv2dGeometry) -> bool {
    let axis = |out: usize, size: usize, kernel: usize, stride: usize, before: usize| {
        let tap = |i: usize, u: usize| (i * stride + u).checked_sub(before).filter(|&p| p < size);
        let windows = (0..out).all(|i| (0..kernel).any(|u| tap(i, u).is_some()));
        let pixels = (0..size).all(|p| (0..out).any(|i| (0..kernel).any(|u| tap(i, u) == Some(p))));
        windows && pixels
    };
    axis(g.out_h, g.in_h, g.kernel_h, g.stride_h, g.pad_top)
        && axis(g.out_w, g.in_w, g.kernel_w, g.stride_w, g.pad_left)
}
