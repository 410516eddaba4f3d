//! The largest element of each window.

use super::padding::{PaddingForm, pool_size, valid};
use crate::layers::prelude::*;

/// The largest element of each window. Input [H, W, C], output [h, w, C].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MaxPool2d {
    /// Height and width of the window.
    #[serde(default = "pool_size")]
    pub size: [usize; 2],
    /// Rows and columns between windows; the size of the window where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<[usize; 2]>,
    /// Padding around the image; it never takes part in a window's result.
    #[serde(default = "valid", with = "PaddingForm")]
    pub padding: Padding,
}

impl MaxPool2d {
    /// Windows of the given height and width side by side, without padding.
    pub fn new(size: [usize; 2]) -> MaxPool2d {
        MaxPool2d { size, stride: None, padding: Padding::Valid }
    }

    /// Rows and columns between windows.
    #[must_use]
    pub fn stride(mut self, stride: [usize; 2]) -> MaxPool2d {
        self.stride = Some(stride);
        self
    }

    /// Padding around the image.
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> MaxPool2d {
        self.padding = padding;
        self
    }
}

impl Layer for MaxPool2d {
    kind!("max_pool2d");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        image(input)?;
        let stride = self.stride.unwrap_or(self.size);
        let g = Pool2dGeometry::new(batched(input)?, self.size, stride, self.padding)?;
        Ok(Shape::new(&[g.out_h, g.out_w, g.channels])?)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(x.max_pool2d(self.size, self.stride.unwrap_or(self.size), self.padding))
    }
}
