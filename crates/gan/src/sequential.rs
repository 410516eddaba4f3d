//! Layers in a row: what a person writes, before shapes are known to fit.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::initialiser::Initialiser;
use crate::layer::Layer;
use crate::layers::described;
use crate::model::{Blueprint, Model};

/// Layers in a row, as Keras' `Sequential`. [`build`](Sequential::build) checks that they fit and gives a
/// [`Model`].
///
/// ```
/// use gannet::layers::{Dense, LeakyRelu, Reshape};
/// use gannet::{Activation, Sequential};
///
/// let generator = Sequential::new("generator", [100])
///     .add(Dense::new(784).activation(Activation::Tanh))
///     .add(Reshape::new([28, 28, 1]))
///     .build()
///     .unwrap();
/// println!("{}", generator.summary());
///
/// let error = Sequential::new("critic", [28, 28, 1]).add(Dense::new(1)).build().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "critic, layer 0 (dense): expected an input of shape [in], got [28, 28, 1]; put a flatten layer in front"
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Sequential {
    pub(crate) name: String,
    pub(crate) input: Vec<usize>,
    pub(crate) layers: Vec<Arc<dyn Layer>>,
    pub(crate) initialiser: Initialiser,
    pub(crate) frozen: Vec<String>,
}

impl Sequential {
    /// No layers yet, for samples of shape `input` (without the batch axis).
    pub fn new(name: impl Into<String>, input: impl Into<Vec<usize>>) -> Sequential {
        Sequential {
            name: name.into(),
            input: input.into(),
            layers: Vec::new(),
            initialiser: Initialiser::GlorotUniform,
            frozen: Vec::new(),
        }
    }

    /// Adds a layer.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // Keras' word
    pub fn add(mut self, layer: impl Layer + 'static) -> Sequential {
        self.layers.push(Arc::new(layer));
        self
    }

    /// How kernels start where their layer does not say; Keras' Glorot uniform otherwise.
    #[must_use]
    pub fn initialiser(mut self, initialiser: Initialiser) -> Sequential {
        self.initialiser = initialiser;
        self
    }

    /// Freezes the layer of that name, `0.conv2d`: training leaves its parameters, and what an optimiser keeps of them,
    /// as they are. A layer within a block is named `3.residual/0.conv2d`, a single parameter `0.conv2d/kernel`. Running
    /// statistics are not parameters: they follow the batches as ever. A name that no parameter belongs to is an error
    /// of [`build`](Sequential::build).
    #[must_use]
    pub fn freeze(mut self, layer: impl Into<String>) -> Sequential {
        self.frozen.push(layer.into());
        self
    }

    /// The name of the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The layers.
    pub fn layers(&self) -> &[Arc<dyn Layer>] {
        &self.layers
    }

    /// Finds every shape. Errors, naming the layer and both shapes, when two do not fit.
    pub fn build(&self) -> Result<Model> {
        Model::new(Blueprint {
            name: &self.name,
            input: &self.input,
            layers: &self.layers,
            initialiser: self.initialiser,
            frozen: &self.frozen,
        })
    }

    /// Errors, naming the layer, when one could not be read from a file again.
    pub(crate) fn check_described(&self) -> Result<()> {
        for (index, layer) in self.layers.iter().enumerate() {
            described(layer.as_ref()).map_err(|e| Error::Layer {
                model: self.name.clone(),
                index,
                kind: layer.kind().into(),
                message: e.to_string(),
            })?;
        }
        Ok(())
    }
}
