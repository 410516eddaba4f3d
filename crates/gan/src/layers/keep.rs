//! An output with a name, for later layers.

use std::sync::Arc;

use crate::layers::prelude::*;

/// Hands its input on and keeps it under a name, for later layers that read it: [`Add`](super::Add),
/// [`Concat`](super::Concat), [`SkipExcite`](super::SkipExcite). Any input. A name stands for one output of a model;
/// layers within a block keep and read outputs too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Keep {
    /// The name; `as` in model files.
    #[serde(rename = "as")]
    pub name: String,
}

impl Keep {
    /// Keeps what the layer before it gives under the name `name`.
    pub fn new(name: impl Into<String>) -> Keep {
        Keep { name: name.into() }
    }
}

impl Layer for Keep {
    kind!("keep");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    fn keeps(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn bind(&self, input: Shape, outputs: &mut Outputs) -> Result<Option<Arc<dyn Layer>>> {
        outputs.keep(&self.name, input).map_err(|e| e.context("as"))?;
        Ok(None)
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        cx.keep(&self.name, x);
        Ok(x)
    }
}
