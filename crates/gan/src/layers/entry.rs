//! A layer as it stands among others in a model file.

use std::sync::Arc;

use crate::layer::Layer;

/// A layer as it stands in a model file: its kind alone (`"flatten"`), or its kind with options
/// (`{ dense = { units = 10 } }`).
#[derive(Clone, Debug)]
pub(crate) struct Entry(pub(crate) Arc<dyn Layer>);
