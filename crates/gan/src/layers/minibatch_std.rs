//! The minibatch standard deviation.

use crate::Mode;
use crate::layers::prelude::*;

/// Keeps the root away from zero.
const EPS: f64 = 1e-8;

/// Appends a channel with one number for the whole batch: the standard deviation of each feature over the batch,
/// averaged over all features (Karras et al. 2018). It shows a discriminator that a generator's images are all alike.
/// Real and generated images are told apart. Input [.., C], output [.., C + 1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MinibatchStd {}

impl MinibatchStd {
    /// The layer; it has no options.
    pub fn new() -> MinibatchStd {
        MinibatchStd {}
    }
}

impl Layer for MinibatchStd {
    kind!("minibatch_std");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if input.rank() == 0 {
            return Err(Error::invalid("expected an input with a channel axis, got []"));
        }
        Ok(input.with_dim(input.rank() - 1, input.last().saturating_add(1)))
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let shape = x.shape();
        let groups = match cx.pass().mode {
            Mode::Training { groups } => groups,
            Mode::Inference => 1,
        };
        let (n, features) = (shape.dims()[0], shape.len() / shape.dims()[0]);
        let grouped = x.reshape([groups, n / groups, features]);
        let centred = grouped - grouped.mean(&[1]);
        let std = (centred.square().mean(&[1]) + EPS).sqrt().mean(&[2]);
        let channel = std.broadcast_to([groups, n / groups, features / shape.last()]);
        let axis = shape.rank() - 1;
        Ok(Var::concat(&[x, channel.reshape(shape.with_dim(axis, 1))], axis))
    }
}
