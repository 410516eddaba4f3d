//! Images of twice the size, filtered so that no pixel stands out.

use super::fir::{Taps, Way};
use crate::layers::prelude::*;

/// Images of twice the height and width: zeros between the pixels, and then a fixed filter along rows and along columns that
/// spreads each pixel (Karras et al. 2020; the filter 1, 3, 3, 1 is theirs, and interpolates linearly). There are zeros around
/// the image. Input [H, W, C], output [2 H, 2 W, C].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UpsampleFir {
    #[serde(default)]
    pub(crate) filter: Taps,
}

impl UpsampleFir {
    /// By the filter 1, 3, 3, 1.
    pub fn new() -> UpsampleFir {
        UpsampleFir::default()
    }

    /// The taps of the filter along either axis; their sum is divided out.
    #[must_use]
    pub fn filter(mut self, taps: impl Into<Vec<f64>>) -> UpsampleFir {
        self.filter = Taps::new(taps);
        self
    }
}

impl Layer for UpsampleFir {
    kind!("upsample_fir");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        self.filter.check()?;
        let [h, w, c] = image(input)?;
        Ok(Shape::new(&[h.saturating_mul(2), w.saturating_mul(2), c])?)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(self.filter.resample(x, Way::Up))
    }
}
