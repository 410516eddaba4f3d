//! The output of an earlier layer behind the features.

use std::sync::Arc;

use super::source::Source;
use crate::layers::prelude::*;

/// The output that an earlier layer keeps under a name ([`Keep`](super::Keep)), behind the features along the last axis.
/// Input [.., n], output [.., n + m] for an output of shape [.., m].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Concat {
    pub(crate) from: Source,
}

impl Concat {
    /// Puts the output of that name behind the features.
    pub fn new(from: impl Into<String>) -> Concat {
        Concat { from: Source::new(from) }
    }
}

/// All axes but the last, of samples with one or more.
fn rest(shape: &Shape) -> Option<&[usize]> {
    shape.dims().split_last().map(|(_, rest)| rest)
}

impl Layer for Concat {
    kind!("concat");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let further = self.from.shape()?;
        Ok(input.with_dim(input.rank() - 1, input.last().saturating_add(further.last())))
    }

    fn bind(&self, input: Shape, outputs: &mut Outputs) -> Result<Option<Arc<dyn Layer>>> {
        let fits = |shape: Shape| rest(&shape).is_some() && rest(&shape) == rest(&input);
        let expected = format!("that of {input} in all axes but the last");
        Ok(Some(Arc::new(Concat { from: self.from.bound(outputs, fits, expected)? })))
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(Var::concat(&[x, self.from.var(cx)?], x.shape().rank() - 1))
    }
}
