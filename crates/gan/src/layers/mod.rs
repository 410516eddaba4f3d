//! The layers. One file each: its options, its shape rule, its parameters, its trace.
//!
//! To add a layer, add its file and a line to the list below.

/// What the file of a layer uses.
mod prelude {
    pub(crate) use gannet_tensor::{Conv2dGeometry, Padding, Pool2dGeometry, Shape, Var};
    pub(crate) use serde::{Deserialize, Serialize};

    pub(crate) use crate::activation::Activation;
    pub(crate) use crate::error::{Error, Result};
    pub(crate) use crate::initialiser::Initialiser;
    pub(crate) use crate::layer::{Context, Layer, Parameter};
    pub(crate) use crate::layers::{batched, image, kind, yes};
}

mod normalise;
mod padding;

macro_rules! layers {
    ($($file:ident: $layer:ident,)*) => {
        $(mod $file; pub use $file::$layer;)*

        /// The kinds of layers that a model file may name.
        pub const KINDS: &[&str] = &[$(stringify!($file)),*];

        /// The layer of the given kind whose options `read` reads.
        fn build<E>(kind: &str, read: impl ReadOptions<E>) -> Option<Result<Arc<dyn Layer>, E>> {
            match kind {
                $(stringify!($file) => Some(read.read::<$layer>().map(|layer| Arc::new(layer) as Arc<dyn Layer>)),)*
                _ => None,
            }
        }
    };
}

layers! {
    avg_pool2d: AvgPool2d,
    batch_norm: BatchNorm,
    conditional_batch_norm: ConditionalBatchNorm,
    conv2d: Conv2d,
    conv_transpose2d: ConvTranspose2d,
    dense: Dense,
    dropout: Dropout,
    embedding: Embedding,
    flatten: Flatten,
    global_avg_pool2d: GlobalAvgPool2d,
    group_norm: GroupNorm,
    instance_norm: InstanceNorm,
    label: Label,
    layer_norm: LayerNorm,
    leaky_relu: LeakyRelu,
    max_pool2d: MaxPool2d,
    minibatch_std: MinibatchStd,
    pixel_norm: PixelNorm,
    projection: Projection,
    relu: Relu,
    reshape: Reshape,
    residual: Residual,
    sigmoid: Sigmoid,
    spectral_norm: SpectralNorm,
    tanh: Tanh,
    upsample_nearest: UpsampleNearest,
}

use std::fmt;
use std::sync::Arc;

use gannet_tensor::Shape;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor, value};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::layer::Layer;

/// The two methods that every layer of this crate has in common.
macro_rules! kind {
    ($kind:literal) => {
        fn kind(&self) -> &'static str {
            $kind
        }

        fn options(&self) -> Option<toml::Table> {
            toml::Table::try_from(self).ok()
        }
    };
}
pub(crate) use kind;

/// The default of options that are on.
pub(crate) fn yes() -> bool {
    true
}

/// The shape of a batch of one, to ask the geometry of operations with.
pub(crate) fn batched(input: Shape) -> Result<Shape> {
    let dims: Vec<usize> = std::iter::once(1).chain(input.dims().iter().copied()).collect();
    Ok(Shape::new(&dims)?)
}

/// Errors unless `input` is an image [H, W, C].
pub(crate) fn image(input: Shape) -> Result<[usize; 3]> {
    input.dims().try_into().map_err(|_| {
        Error::invalid(format!("expected an input of shape [height, width, channels], got {input}"))
    })
}

/// A layer as it stands in a model file: its kind alone (`"flatten"`), or its kind with options
/// (`{ dense = { units = 10 } }`).
#[derive(Clone, Debug)]
pub(crate) struct Entry(pub(crate) Arc<dyn Layer>);

/// Reads the options of a layer from wherever they stand.
trait ReadOptions<E> {
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

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a layer: \"flatten\", or {{ dense = {{ units = 10 }} }}")
            }

            fn visit_str<E: serde::de::Error>(self, kind: &str) -> Result<Entry, E> {
                build(kind, NoOptions).unwrap_or_else(|| Err(E::unknown_variant(kind, KINDS))).map(Entry)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let kind: String = map
                    .next_key()?
                    .ok_or_else(|| A::Error::custom("expected a layer, got an empty table"))?;
                let layer = build(&kind, NextValue(&mut map))
                    .unwrap_or_else(|| Err(A::Error::unknown_variant(&kind, KINDS)))?;
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
        let options = self.0.options().ok_or_else(|| {
            serde::ser::Error::custom(format!("the layer '{kind}' is not one that a model file can describe"))
        })?;
        if options.is_empty() {
            return serializer.serialize_str(kind);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(kind, &options)?;
        map.end()
    }
}
