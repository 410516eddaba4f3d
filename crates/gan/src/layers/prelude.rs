//! What the file of a layer uses.

pub(crate) use gannet_tensor::{Conv2dGeometry, Padding, Pool2dGeometry, Shape, Var};
pub(crate) use serde::{Deserialize, Serialize};

pub(crate) use crate::activation::Activation;
pub(crate) use crate::error::{Error, Result};
pub(crate) use crate::initialiser::Initialiser;
pub(crate) use crate::layer::{Context, Layer, Parameter};
pub(crate) use crate::outputs::Outputs;

/// The two methods that every layer of this crate has in common.
macro_rules! kind {
    ($kind:literal) => {
        fn kind(&self) -> &'static str {
            $kind
        }

        fn options(&self) -> Result<crate::options::Options> {
            crate::options::Options::of(self)
        }
    };
}
pub(crate) use kind;

/// The default of options that are on.
pub(crate) fn yes() -> bool {
    true
}

/// The shape of a batch of one, to ask the geometry of operations with.
pub(crate) fn batched(input: Shape) -> Result<Shape> {
    let dims: Vec<usize> = std::iter::once(1).chain(input.dims().iter().copied()).collect();
    Ok(Shape::new(&dims)?)
}

/// Errors unless `input` is an image [H, W, C].
pub(crate) fn image(input: Shape) -> Result<[usize; 3]> {
    input.dims().try_into().map_err(|_| {
        Error::invalid(format!("expected an input of shape [height, width, channels], got {input}"))
    })
}
