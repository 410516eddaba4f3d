//! Pixel normalisation.

use crate::layers::prelude::*;

/// Keeps the root away from zero.
const EPS: f64 = 1e-8;

/// Every pixel's vector of channels divided by its root mean square (Karras et al. 2018). Input [.., C].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PixelNorm {}

impl PixelNorm {
    /// The layer; it has no options.
    pub fn new() -> PixelNorm {
        PixelNorm {}
    }
}

impl Layer for PixelNorm {
    kind!("pixel_norm");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if input.rank() == 0 {
            return Err(Error::invalid("expected an input with a channel axis, got []"));
        }
        Ok(input)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let mean_square = x.square().mean(&[x.shape().rank() - 1]);
        Ok(x * (mean_square + EPS).sqrt().reciprocal())
    }
}
