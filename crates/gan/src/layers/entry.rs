//! Layers in files, and the kinds of layers that files may name.

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor, value};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{KINDS, build};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::options::Options;

/// A kind of layer that is not of this crate.
#[derive(Clone, Copy)]
struct Registered {
    layer: TypeId,
    name: &'static str,
    read: fn(&Options) -> Result<Arc<dyn Layer>>,
}

/// The kinds that were registered in this process.
static REGISTERED: RwLock<BTreeMap<&'static str, Registered>> = RwLock::new(BTreeMap::new());

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
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if kind.is_empty() || !kind.chars().all(is_name) {
        return Err(Error::invalid(format!(
            "the kind of a layer is a name of letters, digits and underscores, got '{kind}'"
        )));
    }
    let taken = |by: &str| Error::invalid(format!("the kind '{kind}' is taken by {by}: give yours another"));
    if KINDS.contains(&kind) {
        return Err(taken("a layer of gannet"));
    }
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(other) = registered.get(kind)
        && other.layer != TypeId::of::<L>()
    {
        return Err(taken(other.name));
    }
    let read = |options: &Options| options.to::<L>().map(|layer| Arc::new(layer) as Arc<dyn Layer>);
    registered.insert(kind, Registered { layer: TypeId::of::<L>(), name: type_name::<L>(), read });
    Ok(())
}

fn registered(kind: &str) -> Option<Registered> {
    REGISTERED.read().unwrap_or_else(PoisonError::into_inner).get(kind).copied()
}

/// The layer of a registered kind with these options.
fn read_registered(kind: &str, known: Registered, options: &Options) -> Result<Arc<dyn Layer>> {
    let layer = (known.read)(options)?;
    if layer.kind() != kind {
        let message = format!("the layer registered as '{kind}' says that its kind is '{}'", layer.kind());
        return Err(Error::invalid(message));
    }
    Ok(layer)
}

/// What is wrong with a kind that no layer has: the words of serde for an unknown variant.
fn unknown(kind: &str) -> String {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    let known: Vec<String> =
        KINDS.iter().chain(registered.keys()).map(|known| format!("`{known}`")).collect();
    format!("unknown variant `{kind}`, expected one of {}", known.join(", "))
}

/// The options of a layer, from which a file can be read again. Errors, with what to do, where it could not.
pub(crate) fn described(layer: &dyn Layer) -> Result<Options> {
    let kind = layer.kind();
    let refused =
        |why: String| Error::invalid(format!("the layer '{kind}' cannot be read from a file: {why}"));
    let options = layer.options()?;
    let again = match (build(kind, &options), registered(kind)) {
        (Some(layer), _) => layer,
        (None, Some(known)) => read_registered(kind, known, &options),
        (None, None) => {
            return Err(refused("its kind is not registered (gannet::layers::register)".into()));
        }
    };
    let again = again.map_err(|e| refused(e.to_string()))?;
    match again.options() {
        Ok(others) if others == options => Ok(options),
        _ => Err(refused("it would have other options afterwards".into())),
    }
}

/// A layer as it stands in a model file: its kind alone (`"flatten"`), or its kind with options
/// (`{ dense = { units = 10 } }`).
#[derive(Clone, Debug)]
pub(crate) struct Entry(pub(crate) Arc<dyn Layer>);

/// Reads the options of a layer from wherever they stand.
pub(super) trait ReadOptions<E> {
    fn read<T: DeserializeOwned>(self) -> Result<T, E>;
}

struct NoOptions;

impl<E: serde::de::Error> ReadOptions<E> for NoOptions {
    fn read<T: DeserializeOwned>(self) -> Result<T, E> {
        T::deserialize(value::MapDeserializer::<_, E>::new(std::iter::empty::<(&str, &str)>()))
    }
}

struct NextValue<'a, A>(&'a mut A);

impl<'de, A: MapAccess<'de>> ReadOptions<A::Error> for NextValue<'_, A> {
    fn read<T: DeserializeOwned>(self) -> Result<T, A::Error> {
        self.0.next_value()
    }
}

impl ReadOptions<Error> for &Options {
    fn read<T: DeserializeOwned>(self) -> Result<T> {
        self.to()
    }
}

/// A layer of any kind whose options `read` reads.
fn read<E: serde::de::Error>(kind: &str, options: impl ReadOptions<E>) -> Result<Arc<dyn Layer>, E> {
    match registered(kind) {
        Some(known) => read_registered(kind, known, &options.read::<Options>()?).map_err(E::custom),
        None => build(kind, options).unwrap_or_else(|| Err(E::custom(unknown(kind)))),
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a layer: \"flatten\", or {{ dense = {{ units = 10 }} }}")
            }

            fn visit_str<E: serde::de::Error>(self, kind: &str) -> Result<Entry, E> {
                read(kind, NoOptions).map(Entry)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let kind: String = map
                    .next_key()?
                    .ok_or_else(|| A::Error::custom("expected a layer, got an empty table"))?;
                let layer = read(&kind, NextValue(&mut map))?;
                if let Some(second) = map.next_key::<String>()? {
                    return Err(A::Error::custom(format!(
                        "a layer is one table {{ {kind} = {{ .. }} }}, but '{second}' follows in it"
                    )));
                }
                Ok(Entry(layer))
            }
        }

        deserializer.deserialize_any(EntryVisitor)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.0.kind();
        let options = described(self.0.as_ref()).map_err(serde::ser::Error::custom)?;
        if options.is_empty() {
            return serializer.serialize_str(kind);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(kind, &options)?;
        map.end()
    }
}
