//! The layers. One file each: its options, its shape rule, its parameters, its trace.
//!
//! To add a layer, add its file and a line to the list below.

mod entry;
mod fir;
mod named;
mod normalise;
mod padding;
mod prelude;
mod source;

macro_rules! layers {
    ($($file:ident: $layer:ident,)*) => {
        $(mod $file; pub use $file::$layer;)*

        kinds! {
            LayerKinds of dyn Layer, that say their kinds:
                "a layer", like "\"flatten\", or { dense = { units = 10 } }"
            $($file: $layer,)*
        }
    };
}

layers! {
    add: Add,
    avg_pool2d: AvgPool2d,
    batch_norm: BatchNorm,
    concat: Concat,
    concat_input: ConcatInput,
    conditional_batch_norm: ConditionalBatchNorm,
    constant: Constant,
    conv2d: Conv2d,
    conv_transpose2d: ConvTranspose2d,
    dense: Dense,
    downsample_fir: DownsampleFir,
    dropout: Dropout,
    elu: Elu,
    embedding: Embedding,
    equalised: Equalised,
    flatten: Flatten,
    gelu: Gelu,
    global_avg_pool2d: GlobalAvgPool2d,
    glu: Glu,
    group_norm: GroupNorm,
    instance_norm: InstanceNorm,
    keep: Keep,
    label: Label,
    layer_norm: LayerNorm,
    leaky_relu: LeakyRelu,
    max_pool2d: MaxPool2d,
    minibatch_std: MinibatchStd,
    modulated_conv2d: ModulatedConv2d,
    noise: Noise,
    pixel_norm: PixelNorm,
    projection: Projection,
    relu: Relu,
    reshape: Reshape,
    residual: Residual,
    self_attention: SelfAttention,
    sigmoid: Sigmoid,
    silu: Silu,
    skip_excite: SkipExcite,
    softplus: Softplus,
    spectral_norm: SpectralNorm,
    tanh: Tanh,
    upsample_fir: UpsampleFir,
    upsample_nearest: UpsampleNearest,
}

/// The kinds of layers of this crate, as model files name them.
pub const KINDS: &[&str] = LayerKinds::BUILT_IN;

pub(crate) use entry::Entry;
pub(crate) use fir::{Taps, Way};
pub use named::register;
pub(crate) use named::{described, is_built_in};
pub(crate) use prelude::batched;
pub(crate) use skip_excite::windows;

use crate::kinds::{Kinds, kinds};
use crate::layer::Layer;
