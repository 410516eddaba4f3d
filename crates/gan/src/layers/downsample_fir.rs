//! Images of half the size, filtered against aliasing.

use super::fir::{Taps, Way};
use crate::layers::prelude::*;

/// Images of half the height and width: each pixel is a sum of those around, weighted by a fixed filter along rows and along
/// columns (Zhang 2019, "Making Convolutional Networks Shift-Invariant Again"; the filter 1, 3, 3, 1 is that of StyleGAN2,
/// Karras et al. 2020). There are zeros around the image. Input [H, W, C], output [H/2, W/2, C], rounded down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DownsampleFir {
    #[serde(default)]
    pub(crate) filter: Taps,
}

impl DownsampleFir {
    /// By the filter 1, 3, 3, 1.
    pub fn new() -> DownsampleFir {
        DownsampleFir::default()
    }

    /// The taps of the filter along either axis; their sum is divided out.
    #[must_use]
    pub fn filter(mut self, taps: impl Into<Vec<f64>>) -> DownsampleFir {
        self.filter = Taps::new(taps);
        self
    }
}

impl Layer for DownsampleFir {
    kind!("downsample_fir");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        self.filter.check()?;
        let [h, w, c] = image(input)?;
        if h < 2 || w < 2 {
            return Err(Error::invalid(format!("expected at least 2 pixels on each side, got {input}")));
        }
        Ok(Shape::new(&[h / 2, w / 2, c])?)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(self.filter.resample(x, Way::Down))
    }
}
