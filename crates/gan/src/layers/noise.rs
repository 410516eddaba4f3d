//! Noise of a learnt strength.

use crate::Mode;
use crate::layers::prelude::*;

/// Coins that are thrown for each pixel.
const COINS: usize = 32;

/// Noise that is added while training, one number for all channels of a pixel, times a learnt strength that begins at 0
/// (Karras et al. 2019): what a generator needs no latents for, hair and grain, it need not make of them. In inference
/// nothing is added. Each step, layer and pass has noise of its own, of mean 0 and variance 1: heads among 32 coins, which
/// are nearly normal and the same on every device. Input and output [H, W, C]; strength `[1]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Noise {}

impl Noise {
    /// The layer; it has no options.
    pub fn new() -> Noise {
        Noise {}
    }
}

impl Layer for Noise {
    kind!("noise");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        image(input)?;
        Ok(input)
    }

    fn parameters(&self, _input: Shape) -> Vec<Parameter> {
        vec![Parameter::new("strength", [1], Initialiser::Zeros)]
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let (Mode::Training { .. }, Some(counter)) = (cx.pass().mode, cx.pass().counter) else { return Ok(x) };
        let axis = x.shape().rank() - 1;
        // Each 0 or 2: of mean and variance 1.
        let coins = cx.graph().fill(x.shape().with_dim(axis, COINS), 1.0).dropout(counter, 0.5, cx.noise_seed());
        let share = 1.0 / (COINS as f64).sqrt();
        let noise = coins.sum(&[axis]).affine(share, -(COINS as f64) * share);
        Ok(x + noise * cx.parameter("strength")?)
    }
}
