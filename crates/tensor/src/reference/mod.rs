//! The reference backend: every operation as plain loops from its definition, one file each. It is slow,
//! shares nothing with the fast backends, and is what they are checked against.

pub(crate) mod abs;
pub(crate) mod accumulate;
pub(crate) mod adam;
pub(crate) mod add;
pub(crate) mod affine;
pub(crate) mod argmax;
pub(crate) mod avg_pool2d;
pub(crate) mod avg_pool2d_grad;
pub(crate) mod batch_matmul;
pub(crate) mod batch_norm;
pub(crate) mod batch_norm_grad;
pub(crate) mod batch_norm_sums;
pub(crate) mod batch_stats;
pub(crate) mod bce_logits;
pub(crate) mod broadcast_to;
pub(crate) mod clamp;
pub(crate) mod clamp_mask;
pub(crate) mod concat;
pub(crate) mod conv2d;
pub(crate) mod conv2d_weight_grad;
pub(crate) mod conv_transpose2d;
pub(crate) mod copy_to;
pub(crate) mod div;
pub(crate) mod dropout;
pub(crate) mod elu;
pub(crate) mod elu_grad;
pub(crate) mod embedding;
pub(crate) mod embedding_grad;
pub(crate) mod exp;
pub(crate) mod fused_batch_norm;
pub(crate) mod fused_bce_sum;
pub(crate) mod fused_conv2d;
pub(crate) mod fused_conv_transpose2d;
pub(crate) mod fused_lerp;
pub(crate) mod fused_matmul;
pub(crate) mod fused_sigmoid_affine;
pub(crate) mod gelu;
pub(crate) mod greater;
pub(crate) mod leaky_relu;
pub(crate) mod leaky_relu_grad;
pub(crate) mod lerp;
pub(crate) mod log;
mod loops;
pub(crate) mod matmul;
pub(crate) mod max;
pub(crate) mod max_pool2d;
pub(crate) mod max_pool2d_gather;
pub(crate) mod max_pool2d_grad;
pub(crate) mod maximum;
pub(crate) mod mul;
pub(crate) mod normal_cdf;
pub(crate) mod one_hot;
pub(crate) mod pack;
pub(crate) mod pad;
pub(crate) mod permute;
pub(crate) mod reciprocal;
pub(crate) mod reshape;
pub(crate) mod sgd;
pub(crate) mod sigmoid;
pub(crate) mod sigmoid_grad;
pub(crate) mod sign;
pub(crate) mod silu;
pub(crate) mod slice;
pub(crate) mod softmax;
pub(crate) mod softmax_cross_entropy;
pub(crate) mod softplus;
pub(crate) mod sqrt;
pub(crate) mod square;
pub(crate) mod stop_gradient;
pub(crate) mod sub;
pub(crate) mod sum;
pub(crate) mod tanh;
pub(crate) mod tanh_grad;
pub(crate) mod upsample_nearest;

mod backend;
mod probe;

pub use backend::{Executable, Reference};
pub use probe::{Fault, Probe};

/// What the file of a kernel uses.
mod prelude {
    pub(super) use super::loops::*;
    pub(crate) use crate::element::Element;
    pub(crate) use crate::shape::MAX_RANK;
    pub(crate) use crate::tensor_ref::{TensorMut, TensorRef};
}
