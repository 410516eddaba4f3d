//! The output of another layer that a layer reads by its name.

use std::fmt;

use gannet_tensor::{Shape, Var};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::layer::Context;
use crate::outputs::Outputs;

/// An output by its name: what stands under `from` in a model file. Within a model its shape is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) struct Source {
    name: String,
    shape: Option<Shape>,
}

impl Source {
    pub(super) fn new(name: impl Into<String>) -> Source {
        Source { name: name.into(), shape: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// This output among those that there are. Errors, naming those that would fit, unless its shape is one that `fits`;
    /// `expected` says in words which do.
    pub(super) fn bound(
        &self,
        outputs: &Outputs,
        fits: impl Fn(Shape) -> bool,
        expected: impl fmt::Display,
    ) -> Result<Source> {
        let name = &self.name;
        let shape = outputs.shape(name).map_err(|e| e.context("from"))?;
        if !fits(shape) {
            let fitting: Vec<String> = outputs.fitting(fits).map(|name| format!("\"{name}\"")).collect();
            let others = match fitting.len() {
                0 => "none of the outputs before this layer does".to_owned(),
                _ => format!("these do: {}", fitting.join(", ")),
            };
            return Err(Error::invalid(format!(
                "from: the output \"{name}\" has the shape {shape}, which does not fit: expected {expected}; {others}"
            )));
        }
        Ok(Source { name: name.clone(), shape: Some(shape) })
    }

    /// The shape of a sample. Errors outside of a model.
    pub(crate) fn shape(&self) -> Result<Shape> {
        let unknown = || format!("from: the output \"{}\" has no shape outside of a model", self.name);
        self.shape.ok_or_else(|| Error::invalid(unknown()))
    }

    /// The output of a batch.
    pub(super) fn var<'g>(&self, cx: &Context<'_, 'g>) -> Result<Var<'g>> {
        cx.kept(&self.name)
    }
}

impl From<String> for Source {
    fn from(name: String) -> Source {
        Source::new(name)
    }
}

impl From<Source> for String {
    fn from(source: Source) -> String {
        source.name
    }
}
