//! The case list: one row per operation, and some for compositions. A row is a function of the name of its
//! operation; [`for_each_row!`](crate::for_each_row) names them all.

mod elementwise;
mod layout;
mod normalisation;
mod optimisers;
mod pooling;
mod products;
mod reductions;

pub use elementwise::*;
pub use layout::*;
pub use normalisation::*;
pub use optimisers::*;
pub use pooling::*;
pub use products::*;
pub use reductions::*;

/// Expands `$macro! { abs adam add .. }` with the name of every row.
#[macro_export]
macro_rules! for_each_row {
    ($macro:ident) => {
        $macro! {
            abs accumulate adam add affine argmax avg_pool2d avg_pool2d_grad batch_matmul batch_norm batch_norm_grad
            batch_norm_sums batch_norm_train batch_stats bce_logits bce_probabilities broadcast_to clamp
            clamp_mask concat conv2d conv2d_weight_grad conv_transpose2d copy_to div dropout elu
            elu_grad embedding embedding_grad exp fused_batch_norm fused_batch_norm_train fused_bce_sum
            fused_conv2d fused_conv_transpose2d fused_lerp fused_matmul fused_sigmoid_affine gelu
            greater leaky_relu leaky_relu_grad lerp log matmul max max_pool2d max_pool2d_gather
            max_pool2d_grad maximum mean mul normal_cdf one_hot operators pack pad permute reciprocal
            reshape sgd sigmoid sigmoid_grad sign silu slice softmax softmax_cross_entropy softplus sqrt
            square stop_gradient sub sum tanh tanh_grad upsample_nearest views
        }
    };
}

macro_rules! list {
    ($($name:ident)*) => {
        /// Every row.
        pub fn all() -> Vec<crate::Row> {
            vec![$($name()),*]
        }
    };
}
for_each_row!(list);
