//! The mean over all pixels.

use crate::layers::prelude::*;

/// The mean of each channel over all pixels: Keras' GlobalAveragePooling2D. Input [H, W, C], output `[C]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GlobalAvgPool2d {}

impl GlobalAvgPool2d {
    /// The layer; it has no options.
    pub fn new() -> GlobalAvgPool2d {
        GlobalAvgPool2d {}
    }
}

impl Layer for GlobalAvgPool2d {
    kind!("global_avg_pool2d");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let [_, _, channels] = image(input)?;
        Ok(Shape::from([channels]))
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let (n, channels) = (x.shape().dims()[0], x.shape().last());
        Ok(x.mean(&[1, 2]).reshape([n, channels]))
    }
}
