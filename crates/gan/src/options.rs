//! The options of a layer, a loss or an optimiser as plain data.

use serde::de::DeserializeOwned;
use serde::de::value::UnitDeserializer;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The options of a layer (of a loss, of an optimiser) as they stand in a model file: names and values.
///
/// ```
/// use gannet::Options;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Swish {
///     beta: f64,
/// }
///
/// let options = Options::of(&Swish { beta: 1.5 })?;
/// assert_eq!(options.to::<Swish>()?.beta, 1.5);
/// # Ok::<(), gannet::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Options(toml::Table);

impl Options {
    /// The fields of a struct; none of a unit struct. Errors when it is no struct, or when a model file cannot hold a
    /// value.
    pub fn of<T: Serialize + ?Sized>(layer: &T) -> Result<Options> {
        if size_of_val(layer) == 0 {
            return Ok(Options::default());
        }
        toml::Table::try_from(layer).map(Options).map_err(|e| Error::invalid(e.to_string()))
    }

    /// The struct with these options. Errors when a field is missing, unknown or of another type.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        if size_of::<T>() == 0 {
            if let Some(name) = self.first_name() {
                return Err(Error::invalid(format!("unknown option `{name}`, expected none")));
            }
            if let Ok(unit) = T::deserialize(UnitDeserializer::<toml::de::Error>::new()) {
                return Ok(unit);
            }
        }
        self.0.clone().try_into().map_err(|e: toml::de::Error| Error::invalid(e.message()))
    }

    /// The name of the first, if there is one.
    pub(crate) fn first_name(&self) -> Option<&str> {
        self.0.keys().next().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
