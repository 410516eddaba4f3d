//! Every pixel repeated.

use crate::layers::prelude::*;

/// Every pixel repeated `factor[0]` times down and `factor[1]` times across: Keras' UpSampling2D. Input [H, W, C].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UpsampleNearest {
    /// How often a pixel is repeated, down and across.
    #[serde(default = "super::padding::pool_size")]
    pub factor: [usize; 2],
}

impl UpsampleNearest {
    /// Pixels repeated `factor[0]` times down and `factor[1]` times across.
    pub fn new(factor: [usize; 2]) -> UpsampleNearest {
        UpsampleNearest { factor }
    }
}

impl Layer for UpsampleNearest {
    kind!("upsample_nearest");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let [h, w, c] = image(input)?;
        let [down, across] = self.factor;
        if down == 0 || across == 0 {
            return Err(Error::invalid(format!("the factors must be at least 1, got {:?}", self.factor)));
        }
        Ok(Shape::new(&[h.saturating_mul(down), w.saturating_mul(across), c])?)
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(x.upsample_nearest(self.factor))
    }
}
