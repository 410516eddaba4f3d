//! Layer normalisation.

use super::normalise::{check_eps, eps, gamma_beta, normalise};
use crate::layers::prelude::*;

/// Layer normalisation (Ba et al. 2016) over the last axis, as in Keras, then a scale and a shift for each channel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LayerNorm {
    /// Added to the variance under the root.
    #[serde(default = "eps")]
    pub eps: f64,
}

impl Default for LayerNorm {
    fn default() -> LayerNorm {
        LayerNorm { eps: eps() }
    }
}

impl LayerNorm {
    /// Keras' default: eps 1e-3.
    pub fn new() -> LayerNorm {
        LayerNorm::default()
    }
}

impl Layer for LayerNorm {
    kind!("layer_norm");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        check_eps(self.eps)?;
        if input.rank() == 0 {
            return Err(Error::invalid("expected an input with a channel axis, got []"));
        }
        Ok(input)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        gamma_beta(input)
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let y = normalise(x, &[x.shape().rank() - 1], self.eps);
        Ok(y * cx.parameter("gamma")? + cx.parameter("beta")?)
    }
}
