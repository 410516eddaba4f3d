//! Group normalisation.

use super::normalise::{check_eps, eps, gamma_beta, normalise};
use crate::layers::prelude::*;

/// Group normalisation (Wu and He 2018): the channels are cut into groups, and each group of each image is normalised
/// over its channels and all pixels; then a scale and a shift for each channel. Input [.., C].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GroupNorm {
    /// Groups of channels; their number divides that of the channels.
    pub groups: usize,
    /// Added to the variance under the root.
    #[serde(default = "eps")]
    pub eps: f64,
}

impl GroupNorm {
    /// The given number of groups, eps 1e-3.
    pub fn new(groups: usize) -> GroupNorm {
        GroupNorm { groups, eps: eps() }
    }
}

/// Each of `groups` groups of channels of each sample normalised, without scale and shift.
pub(super) fn by_groups<'g>(x: Var<'g>, groups: usize, eps: f64) -> Var<'g> {
    let (n, channels) = (x.shape().dims()[0], x.shape().last());
    let pixels = x.shape().len() / n / channels;
    let grouped = x.reshape([n, pixels, groups, channels / groups]);
    normalise(grouped, &[1, 3], eps).reshape(x.shape())
}

impl Layer for GroupNorm {
    kind!("group_norm");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        check_eps(self.eps)?;
        if self.groups == 0 || input.rank() == 0 || !input.last().is_multiple_of(self.groups) {
            return Err(Error::invalid(format!(
                "the channels of the input {input} cannot be cut into {} equal groups",
                self.groups
            )));
        }
        Ok(input)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        gamma_beta(input)
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(by_groups(x, self.groups, self.eps) * cx.parameter("gamma")? + cx.parameter("beta")?)
    }
}
