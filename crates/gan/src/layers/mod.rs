//! The layers. One file each: its options, its shape rule, its parameters, its trace.
//!
//! To add a layer, add its file and a line to the list below.

mod entry;
mod normalise;
mod padding;
mod prelude;

macro_rules! layers {
    ($($file:ident: $layer:ident,)*) => {
        $(mod $file; pub use $file::$layer;)*

        /// The kinds of layers of this crate, as model files name them.
        pub const KINDS: &[&str] = &[$(stringify!($file)),*];

        /// The layer of the given kind of this crate whose options `read` reads.
        fn build<E>(kind: &str, read: impl ReadOptions<E>) -> Option<std::result::Result<Arc<dyn Layer>, E>> {
            match kind {
                $(stringify!($file) => Some(read.read::<$layer>().map(|layer| Arc::new(layer) as Arc<dyn Layer>)),)*
                _ => None,
            }
        }
    };
}

layers! {
    avg_pool2d: AvgPool2d,
    batch_norm: BatchNorm,
    concat_input: ConcatInput,
    conditional_batch_norm: ConditionalBatchNorm,
    conv2d: Conv2d,
    conv_transpose2d: ConvTranspose2d,
    dense: Dense,
    dropout: Dropout,
    elu: Elu,
    embedding: Embedding,
    flatten: Flatten,
    gelu: Gelu,
    global_avg_pool2d: GlobalAvgPool2d,
    group_norm: GroupNorm,
    instance_norm: InstanceNorm,
    label: Label,
    layer_norm: LayerNorm,
    leaky_relu: LeakyRelu,
    max_pool2d: MaxPool2d,
    minibatch_std: MinibatchStd,
    pixel_norm: PixelNorm,
    projection: Projection,
    relu: Relu,
    reshape: Reshape,
    residual: Residual,
    sigmoid: Sigmoid,
    silu: Silu,
    softplus: Softplus,
    spectral_norm: SpectralNorm,
    tanh: Tanh,
    upsample_nearest: UpsampleNearest,
}

use std::sync::Arc;

pub use entry::register;
pub(crate) use entry::{Entry, described};
pub(crate) use prelude::batched;

use crate::layer::Layer;
use entry::ReadOptions;
