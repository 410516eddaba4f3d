//! The sum with the output of an earlier layer.

use std::sync::Arc;

use super::source::Source;
use crate::layers::prelude::*;

/// x plus the output that an earlier layer keeps under a name ([`Keep`](super::Keep)): a skip connection over any number
/// of layers. Input and output of that output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Add {
    pub(crate) from: Source,
}

impl Add {
    /// Adds the output of that name.
    pub fn new(from: impl Into<String>) -> Add {
        Add { from: Source::new(from) }
    }
}

impl Layer for Add {
    kind!("add");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        self.from.shape()?;
        Ok(input)
    }

    fn bind(&self, input: Shape, outputs: &mut Outputs) -> Result<Option<Arc<dyn Layer>>> {
        let expected = format!("the shape of what it is added to, {input}");
        let from = self.from.bound(outputs, |shape| shape == input, expected)?;
        Ok(Some(Arc::new(Add { from })))
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(x + self.from.var(cx)?)
    }
}
