//! Kinds of a trait by the names that they have in model files: those of this crate, and those that a user registered.
//!
//! In a file a kind stands by its name alone (`"hinge"`), or with its options (`{ adam = { beta1 = 0.5 } }`).

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor, value};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// A trait whose kinds a model file names.
pub(crate) trait Kinds: Sized + 'static {
    /// The trait's object.
    type Object: ?Sized + Any + fmt::Debug + Send + Sync;
    /// What a kind is, with its article: "a loss".
    const NOUN: &'static str;
    /// How one stands in a file.
    const EXAMPLE: &'static str;
    /// How a user makes another kind known.
    const REGISTER: &'static str;
    /// The names of this crate's kinds.
    const BUILT_IN: &'static [&'static str];

    /// One of this crate's kinds, whose options `options` reads.
    fn read<E: serde::de::Error>(
        name: &str,
        options: impl ReadOptions<E>,
    ) -> Option<Result<Arc<Self::Object>, E>>;

    /// Writes one of this crate's kinds; gives the serializer back where it is none.
    fn write<S: Serializer>(object: &dyn Any, serializer: S) -> Result<Result<S::Ok, S::Error>, S>;

    /// The object as what it is.
    fn any(object: &Self::Object) -> &dyn Any;

    /// The kinds that users registered.
    fn registry() -> &'static Registry<Self::Object>;
}

/// Options as they stand in a file, or why they cannot.
type Written = Result<toml::Table, toml::ser::Error>;

/// Reads the options of a kind from wherever they stand.
pub(crate) trait ReadOptions<E> {
    fn read<T: DeserializeOwned>(self) -> Result<T, E>;
}

/// A kind that stands by its name alone.
struct NoOptions;

impl<E: serde::de::Error> ReadOptions<E> for NoOptions {
    fn read<T: DeserializeOwned>(self) -> Result<T, E> {
        if size_of::<T>() == 0
            && let Ok(unit) = T::deserialize(value::UnitDeserializer::<E>::new())
        {
            return Ok(unit);
        }
        T::deserialize(value::MapDeserializer::<_, E>::new(std::iter::empty::<(&str, &str)>()))
    }
}

/// The options that follow a name.
struct NextValue<'a, A>(&'a mut A);

impl<'de, A: MapAccess<'de>> ReadOptions<A::Error> for NextValue<'_, A> {
    fn read<T: DeserializeOwned>(self) -> Result<T, A::Error> {
        if size_of::<T>() > 0 {
            return self.0.next_value();
        }
        match self.0.next_value::<toml::Table>()?.keys().next() {
            Some(key) => Err(A::Error::custom(format!("unknown option `{key}`, expected none"))),
            None => NoOptions.read(),
        }
    }
}

/// The options of a value.
fn written<T: Serialize>(value: &T) -> Written {
    if size_of::<T>() == 0 { Ok(toml::Table::new()) } else { toml::Table::try_from(value) }
}

/// Writes a name with the options of a value, in the order of its fields.
pub(crate) fn write_named<T: Serialize, S: Serializer>(
    name: &'static str,
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if size_of::<T>() == 0 {
        return serializer.serialize_str(name);
    }
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, value)?;
    map.end()
}

type Read<T> = Arc<dyn Fn(toml::Value) -> Result<Arc<T>, toml::de::Error> + Send + Sync>;

/// A kind that a user registered.
struct Registered<T: ?Sized> {
    name: &'static str,
    type_id: TypeId,
    type_name: &'static str,
    read: Read<T>,
    write: fn(&dyn Any) -> Option<Written>,
}

/// The kinds that users registered, for the whole process.
pub(crate) struct Registry<T: ?Sized>(RwLock<Vec<Registered<T>>>);

impl<T: ?Sized + 'static> Registry<T> {
    pub(crate) const fn new() -> Registry<T> {
        Registry(RwLock::new(Vec::new()))
    }
}

/// Makes a kind known by `name`. Once more does no harm. Errors when the name, or the type, belongs to another.
pub(crate) fn register<K: Kinds, L: Serialize + DeserializeOwned + Any>(
    name: &'static str,
    object: fn(L) -> Arc<K::Object>,
) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Error::invalid(format!(
            "a name in model files is made of a to z, 0 to 9 and _, got '{name}'"
        )));
    }
    let noun = K::NOUN;
    if K::BUILT_IN.contains(&name) {
        return Err(Error::invalid(format!("there is {noun} '{name}' in this crate: choose another name")));
    }
    let mut kinds = K::registry().0.write().unwrap_or_else(PoisonError::into_inner);
    let type_id = TypeId::of::<L>();
    if let Some(known) = kinds.iter().find(|kind| kind.name == name || kind.type_id == type_id) {
        return match (known.name, known.type_id) == (name, type_id) {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "{noun} '{}' is registered as {} already, so {} cannot be '{name}'",
                known.name,
                known.type_name,
                type_name::<L>()
            ))),
        };
    }
    kinds.push(Registered {
        name,
        type_id,
        type_name: type_name::<L>(),
        read: Arc::new(move |options| {
            let value = match &options {
                toml::Value::Table(table) if table.is_empty() => NoOptions.read()?,
                _ if size_of::<L>() == 0 => return Err(toml::de::Error::custom("it has no options")),
                _ => options.try_into::<L>()?,
            };
            Ok(object(value))
        }),
        write: |object| object.downcast_ref::<L>().map(written),
    });
    Ok(())
}

/// The names of all kinds: this crate's, and then those registered.
pub(crate) fn names<K: Kinds>() -> Vec<&'static str> {
    let kinds = K::registry().0.read().unwrap_or_else(PoisonError::into_inner);
    K::BUILT_IN.iter().copied().chain(kinds.iter().map(|kind| kind.name)).collect()
}

/// The kind of that name.
fn read<K: Kinds, E: serde::de::Error, O: ReadOptions<E>>(
    name: &str,
    options: O,
) -> Result<Arc<K::Object>, E> {
    if K::BUILT_IN.contains(&name)
        && let Some(object) = K::read(name, options)
    {
        return object;
    }
    Err(E::custom(format!("unknown variant `{name}`, expected one of {}", quoted(&names::<K>()))))
}

/// A registered kind with these options, if one has that name.
fn read_registered<K: Kinds, E: serde::de::Error>(
    name: &str,
    options: impl FnOnce() -> Result<toml::Value, E>,
) -> Option<Result<Arc<K::Object>, E>> {
    let kinds = K::registry().0.read().unwrap_or_else(PoisonError::into_inner);
    let read = kinds.iter().find(|kind| kind.name == name)?.read.clone();
    // Options may hold other kinds.
    drop(kinds);
    Some(options().and_then(|options| read(options).map_err(|e| E::custom(e.message()))))
}

/// `a`, `b`, `c`.
fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Reads a kind from a model file.
pub(crate) fn deserialize<'de, K: Kinds, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Arc<K::Object>, D::Error> {
    struct KindVisitor<K>(PhantomData<K>);

    impl<'de, K: Kinds> Visitor<'de> for KindVisitor<K> {
        type Value = Arc<K::Object>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}: {}", K::NOUN, K::EXAMPLE)
        }

        fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
            let none = || Ok(toml::Value::Table(toml::Table::new()));
            read_registered::<K, E>(name, none).unwrap_or_else(|| read::<K, E, _>(name, NoOptions))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let name: String = map
                .next_key()?
                .ok_or_else(|| A::Error::custom(format!("expected {}, got an empty table", K::NOUN)))?;
            let object = read_registered::<K, A::Error>(&name, || map.next_value())
                .unwrap_or_else(|| read::<K, A::Error, _>(&name, NextValue(&mut map)))?;
            if let Some(second) = map.next_key::<String>()? {
                return Err(A::Error::custom(format!(
                    "{} is one table {{ {name} = {{ .. }} }}, but '{second}' follows in it",
                    K::NOUN
                )));
            }
            Ok(object)
        }
    }

    deserializer.deserialize_any(KindVisitor::<K>(PhantomData))
}

/// Writes a kind to a model file. Errors when it is neither of this crate nor registered: it could not be read again.
pub(crate) fn serialize<K: Kinds, S: Serializer>(
    object: &K::Object,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let any = K::any(object);
    let serializer = match K::write(any, serializer) {
        Ok(done) => return done,
        Err(serializer) => serializer,
    };
    let kinds = K::registry().0.read().unwrap_or_else(PoisonError::into_inner);
    let (name, options) =
        kinds.iter().find_map(|kind| Some((kind.name, (kind.write)(any)?))).ok_or_else(|| {
            S::Error::custom(format!(
                "{} that a file cannot name: {object:?}; make it known with {} first",
                K::NOUN,
                K::REGISTER
            ))
        })?;
    drop(kinds);
    let options = options.map_err(|e| S::Error::custom(format!("the options of '{name}': {e}")))?;
    if options.is_empty() {
        return serializer.serialize_str(name);
    }
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, &options)?;
    map.end()
}

/// Implements [`Kinds`] for a type, from the names and types of this crate's kinds.
macro_rules! kinds {
    (
        $kinds:ident of $object:ty: $noun:literal, like $example:literal, made known with $register:literal
        $($name:literal: $kind:ty,)*
    ) => {
        pub(crate) struct $kinds;

        impl $crate::kinds::Kinds for $kinds {
            type Object = $object;
            const NOUN: &'static str = $noun;
            const EXAMPLE: &'static str = $example;
            const REGISTER: &'static str = $register;
            const BUILT_IN: &'static [&'static str] = &[$($name),*];

            fn read<E: serde::de::Error>(
                name: &str,
                options: impl $crate::kinds::ReadOptions<E>,
            ) -> Option<Result<std::sync::Arc<$object>, E>> {
                match name {
                    $($name => Some(
                        options.read::<$kind>().map(|kind| std::sync::Arc::new(kind) as std::sync::Arc<$object>),
                    ),)*
                    _ => None,
                }
            }

            fn write<S: serde::Serializer>(
                object: &dyn std::any::Any,
                serializer: S,
            ) -> Result<Result<S::Ok, S::Error>, S> {
                $(if let Some(kind) = object.downcast_ref::<$kind>() {
                    return Ok($crate::kinds::write_named($name, kind, serializer));
                })*
                Err(serializer)
            }

            fn any(object: &$object) -> &dyn std::any::Any {
                object
            }

            fn registry() -> &'static $crate::kinds::Registry<$object> {
                static REGISTRY: $crate::kinds::Registry<$object> = $crate::kinds::Registry::new();
                &REGISTRY
            }
        }
    };
}
pub(crate) use kinds;
