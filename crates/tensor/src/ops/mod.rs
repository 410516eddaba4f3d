//! The operations. One file each: the shape rule, the vjp, and the method of [`Var`](crate::Var).
//!
//! To add an operation `name`, add `ops/name.rs`, `reference/name.rs`, `shaders/name.wgsl`, a row in the
//! case list of `tests/`, and a line here and in `reference/mod.rs`.

/// What the file of an operation uses.
mod prelude {
    pub(crate) use crate::error::{Error, Result};
    pub(crate) use crate::geometry::{Conv2dGeometry, Padding, Pool2dGeometry};
    pub(crate) use crate::graph::{Gradients, Operation, Var, Vjp};
    pub(crate) use crate::launch::{self, Input, Output, Scratch, shaders, size};
    pub(crate) use crate::ops::{arity, elementwise};
    pub(crate) use crate::reference as kernels;
    pub(crate) use crate::shape::Shape;
    pub(crate) use crate::tensor_ref::reference;
    pub(crate) use gannet_shaders::{Dispatch, Launch};
}

macro_rules! operations {
    ($($file:ident: $operation:ident,)*) => {
        $(mod $file; pub use $file::$operation;)*
    };
}

operations! {
    abs: Abs,
    accumulate: Accumulate,
    adam: Adam,
    add: Add,
    affine: Affine,
    argmax: Argmax,
    avg_pool2d: AvgPool2d,
    avg_pool2d_grad: AvgPool2dGrad,
    batch_matmul: BatchMatMul,
    batch_norm: BatchNorm,
    batch_norm_grad: BatchNormGrad,
    batch_norm_sums: BatchNormSums,
    batch_stats: BatchStats,
    bce_logits: BceLogits,
    broadcast_to: BroadcastTo,
    clamp: Clamp,
    clamp_mask: ClampMask,
    concat: Concat,
    conv2d: Conv2d,
    conv2d_weight_grad: Conv2dWeightGrad,
    conv_transpose2d: ConvTranspose2d,
    copy_to: CopyTo,
    div: Div,
    dropout: Dropout,
    elu: Elu,
    elu_grad: EluGrad,
    embedding: Embedding,
    embedding_grad: EmbeddingGrad,
    exp: Exp,
    fused_batch_norm: FusedBatchNorm,
    fused_bce_sum: FusedBceSum,
    fused_conv2d: FusedConv2d,
    fused_conv_transpose2d: FusedConvTranspose2d,
    fused_lerp: FusedLerp,
    fused_matmul: FusedMatMul,
    fused_sigmoid_affine: FusedSigmoidAffine,
    gelu: Gelu,
    greater: Greater,
    leaky_relu: LeakyRelu,
    leaky_relu_grad: LeakyReluGrad,
    lerp: Lerp,
    log: Log,
    matmul: MatMul,
    max: Max,
    max_pool2d: MaxPool2d,
    max_pool2d_gather: MaxPool2dGather,
    max_pool2d_grad: MaxPool2dGrad,
    maximum: Maximum,
    mul: Mul,
    normal_cdf: NormalCdf,
    one_hot: OneHot,
    pack: Pack,
    pad: Pad,
    permute: Permute,
    reciprocal: Reciprocal,
    reshape: Reshape,
    sgd: Sgd,
    sigmoid: Sigmoid,
    sigmoid_grad: SigmoidGrad,
    sign: Sign,
    silu: Silu,
    slice: Slice,
    softmax: Softmax,
    softmax_cross_entropy: SoftmaxCrossEntropy,
    softplus: Softplus,
    sqrt: Sqrt,
    square: Square,
    stop_gradient: StopGradient,
    sub: Sub,
    sum: Sum,
    tanh: Tanh,
    tanh_grad: TanhGrad,
    upsample_nearest: UpsampleNearest,
}

mod activation;
mod epilogue;
mod resampled;

pub use activation::Activation;
pub use epilogue::Epilogue;
pub(crate) use fused_lerp::MOST_STEPS as MOST_LERP_STEPS;

use crate::error::{Error, Result};
use crate::shape::Shape;

/// Errors unless there are exactly `N` inputs.
pub(crate) fn arity<const N: usize>(inputs: &[Shape]) -> Result<[Shape; N]> {
    inputs.try_into().map_err(|_| Error::new(format!("expected {N} inputs, got {}", inputs.len())))
}

/// The shape rule of an operation whose inputs all have the shape of its output.
pub(crate) fn elementwise<const N: usize>(inputs: &[Shape]) -> Result<Shape> {
    let inputs = arity::<N>(inputs)?;
    if inputs.iter().any(|s| *s != inputs[0]) {
        return Err(Error::new(format!("expected {N} inputs of the same shape, got {inputs:?}")));
    }
    Ok(inputs[0])
}
