//! Layers by the kinds that they have in model files.

use std::any::Any;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::LayerKinds;
use super::entry::Entry;
use crate::error::{Error, Result};
use crate::kinds::{self, Kinds};
use crate::layer::Layer;
use crate::options::Options;

/// Makes a kind of layer of your own known to model files and checkpoints, for the whole process: before a model with
/// it is saved or loaded. `kind` is what its [`Layer::kind`] says. Registering it once more changes nothing. Errors when
/// another layer has that kind, or when it is no name: letters, digits and underscores.
///
/// ```
/// use gannet::layers::{self, Dense};
/// use gannet::{Context, Gan, GanConfig, Layer, Options, Reference, Result, Sequential, Shape, Var};
/// use serde::{Deserialize, Serialize};
///
/// /// x sigmoid(beta x), element by element.
/// #[derive(Clone, Debug, Serialize, Deserialize)]
/// struct Swish {
///     beta: f64,
/// }
///
/// impl Layer for Swish {
///     fn kind(&self) -> &'static str {
///         "swish"
///     }
///
///     fn output_shape(&self, input: Shape) -> Result<Shape> {
///         Ok(input)
///     }
///
///     fn trace<'g>(&self, x: Var<'g>, _cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
///         Ok(x * (x * self.beta).sigmoid())
///     }
///
///     fn options(&self) -> Result<Options> {
///         Options::of(self)
///     }
/// }
///
/// layers::register::<Swish>("swish")?;
/// let generator = Sequential::new("generator", [2]).add(Dense::new(2)).add(Swish { beta: 1.0 });
/// let critic = Sequential::new("discriminator", [2]).add(Dense::new(1));
/// let mut gan = Gan::new(&Reference::<f32>::new(), GanConfig::new(generator, critic))?;
/// let file = gan.to_file()?;
/// let again = Gan::from_file(&Reference::<f32>::new(), &file)?;
/// assert_eq!(again.config().to_toml()?, gan.config().to_toml()?);
/// # Ok::<(), gannet::Error>(())
/// ```
pub fn register<L: Layer + DeserializeOwned + 'static>(kind: &'static str) -> Result<()> {
    let object = move |layer: L| {
        if layer.kind() != kind {
            return Err(Error::invalid(format!(
                "the layer registered as '{kind}' says that its kind is '{}'",
                layer.kind()
            )));
        }
        Ok(Arc::new(layer) as Arc<dyn Layer>)
    };
    kinds::register::<LayerKinds, L>(kind, object, ())
}

/// Whether a layer is one of this crate's: not by its kind, which anyone may give to a layer.
pub(crate) fn is_built_in(layer: &dyn Layer) -> bool {
    LayerKinds::built_in(layer.kind()).is_some_and(|kind| kind.id == (layer as &dyn Any).type_id())
}

/// The options of a layer, from which a file can be read again. Errors, with what to do, where it could not.
pub(crate) fn described(layer: &dyn Layer) -> Result<Options> {
    let kind = layer.kind();
    let refused = |why: &str| Error::invalid(format!("the layer '{kind}' cannot be read from a file: {why}"));
    let options = layer.options()?;
    let known = kinds::type_of::<LayerKinds>(kind)
        .ok_or_else(|| refused("its kind is not registered (gannet::layers::register)"))?;
    if known.id != (layer as &dyn Any).type_id() {
        return Err(refused(&format!("its kind is that of {}, so give it another", known.name)));
    }
    // A layer of this crate reads what it writes.
    let Some(again) = kinds::read_registered::<LayerKinds>(kind, &options) else { return Ok(options) };
    match again.map_err(|e| refused(&e.to_string()))?.options() {
        Ok(others) if others == options => Ok(options),
        _ => Err(refused("it would have other options afterwards")),
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        kinds::deserialize::<LayerKinds, D>(deserializer).map(Entry)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let options = described(self.0.as_ref()).map_err(S::Error::custom)?;
        kinds::write_named(self.0.kind(), &options, options.is_empty(), serializer)
    }
}
