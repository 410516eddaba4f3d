//! Which convolution an operation is, fused or not.

use gannet_tensor::{Conv2dGeometry, Operation, ops};

/// A convolution, or its transpose, with what is done to its result.
pub(super) struct ConvolutionOf {
    pub(super) geometry: Conv2dGeometry,
    /// Whether it goes from features to the image.
    pub(super) transposed: bool,
    pub(super) epilogue: Option<ops::Epilogue>,
}

impl ConvolutionOf {
    /// None for operations that are neither.
    pub(super) fn operation(op: &dyn Operation) -> Option<ConvolutionOf> {
        let (geometry, transposed, epilogue) = if let Some(op) = op.downcast::<ops::Conv2d>() {
            (op.geometry, false, None)
        } else if let Some(op) = op.downcast::<ops::FusedConv2d>() {
            (op.geometry, false, Some(op.epilogue))
        } else if let Some(op) = op.downcast::<ops::ConvTranspose2d>() {
            (op.geometry, true, None)
        } else {
            let op = op.downcast::<ops::FusedConvTranspose2d>()?;
            (op.geometry, true, Some(op.epilogue))
        };
        Some(ConvolutionOf { geometry, transposed, epilogue })
    }
}
