//! A gated linear unit.

use crate::layers::prelude::*;

/// A gated linear unit (Dauphin et al. 2017): a sigmoid(b), where a and b are the halves of the last axis. Input [.., 2 n],
/// output [.., n].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Glu {}

impl Glu {
    /// The layer; it has no options.
    pub fn new() -> Glu {
        Glu {}
    }
}

impl Layer for Glu {
    kind!("glu");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        match input.dims().last() {
            Some(n) if n.is_multiple_of(2) => Ok(input.with_dim(input.rank() - 1, n / 2)),
            _ => Err(Error::invalid(format!(
                "expected an input whose last axis is even, to be cut into halves, got {input}"
            ))),
        }
    }

    fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let (axis, n) = (x.shape().rank() - 1, x.shape().last() / 2);
        Ok(x.slice(axis, 0, n) * x.slice(axis, n, 2 * n).sigmoid())
    }
}
