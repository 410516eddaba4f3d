//! How the padding of a window stands in a model file: "same", "valid", or pixels at each edge.

use gannet_tensor::Padding;
use serde::{Deserialize, Serialize};

/// The form of [`Padding`] in files.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Padding", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum PaddingForm {
    Same,
    Valid,
    Explicit { top: usize, bottom: usize, left: usize, right: usize },
}

/// Keras' default.
pub(super) fn valid() -> Padding {
    Padding::Valid
}

/// A stride of one pixel.
pub(super) fn unit_stride() -> [usize; 2] {
    [1, 1]
}

/// The windows of Keras' pooling layers.
pub(super) fn pool_size() -> [usize; 2] {
    [2, 2]
}
