//! Instance normalisation.

use super::group_norm::by_groups;
use super::normalise::{check_eps, eps, gamma_beta};
use crate::layers::prelude::*;

/// Instance normalisation (Ulyanov et al. 2016): each channel of each image is normalised over its pixels; then a scale
/// and a shift for each channel. Input [H, W, C].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct InstanceNorm {
    /// Added to the variance under the root.
    #[serde(default = "eps")]
    pub eps: f64,
}

impl Default for InstanceNorm {
    fn default() -> InstanceNorm {
        InstanceNorm { eps: eps() }
    }
}

impl InstanceNorm {
    /// eps 1e-3.
    pub fn new() -> InstanceNorm {
        InstanceNorm::default()
    }
}

impl Layer for InstanceNorm {
    kind!("instance_norm");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        check_eps(self.eps)?;
        image(input)?;
        Ok(input)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        gamma_beta(input)
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let y = by_groups(x, x.shape().last(), self.eps);
        Ok(y * cx.parameter("gamma")? + cx.parameter("beta")?)
    }
}
