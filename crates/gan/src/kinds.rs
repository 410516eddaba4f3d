//! Kinds of a trait by the names that they have in model files: those of this crate, and those that a user registered.
//!
//! In a file a kind stands by its name alone (`"hinge"`), or with its options (`{ adam = { beta1 = 0.5 } }`).

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};

use serde::de::value::{MapDeserializer, UnitDeserializer};
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserializer, Serialize, Serializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::error::{Error, Result};
use crate::options::Options;

/// A trait whose kinds a model file names.
pub(crate) trait Kinds: Sized + 'static {
    /// The trait's object.
    type Object: ?Sized + Any + fmt::Debug + Send + Sync;
    /// How the options of a registered kind are found where its trait does not say: [`WriteOptions`], or nothing.
    type Write: Copy + Send + Sync;
    /// What a kind is, with its article: "a loss".
    const NOUN: &'static str;
    /// How one stands in a file.
    const EXAMPLE: &'static str;
    /// Whether a type may have several names, for its objects say theirs.
    const OBJECTS_SAY_NAMES: bool;
    /// The names of this crate's kinds.
    const BUILT_IN: &'static [&'static str];

    /// The type of one of this crate's kinds.
    fn built_in(name: &str) -> Option<KindType>;

    /// One of this crate's kinds, whose options `options` reads.
    fn read<E: serde::de::Error>(
        name: &str,
        options: impl ReadOptions<E>,
    ) -> Option<Result<Arc<Self::Object>, E>>;

    /// The kinds that users registered.
    fn registry() -> &'static Registry<Self>;
}

/// Kinds that are written as serde has them, by the names that their types are known by.
pub(crate) trait Written: Kinds<Write = WriteOptions> {
    /// How a user makes another kind known.
    const REGISTER: &'static str;

    /// Writes one of this crate's kinds; gives the serializer back where it is none.
    fn write<S: Serializer>(object: &dyn Any, serializer: S) -> Result<Result<S::Ok, S::Error>, S>;

    /// The object as what it is.
    fn any(object: &Self::Object) -> &dyn Any;
}

/// The options of an object, if it is of the type that was registered.
pub(crate) type WriteOptions = fn(&dyn Any) -> Option<Result<Options>>;

/// The type of a kind.
#[derive(Clone, Copy)]
pub(crate) struct KindType {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

impl KindType {
    pub(crate) fn of<T: Any>() -> KindType {
        KindType { id: TypeId::of::<T>(), name: type_name::<T>() }
    }
}

/// Reads the options of a kind from wherever they stand.
pub(crate) trait ReadOptions<E> {
    fn read<T: DeserializeOwned>(self) -> Result<T, E>;
}

/// The options of a kind that stands by its name alone.
struct NameAlone;

impl<E: serde::de::Error> ReadOptions<E> for NameAlone {
    fn read<T: DeserializeOwned>(self) -> Result<T, E> {
        if const { size_of::<T>() == 0 } {
            // A unit struct, or one without fields.
            let unit = T::deserialize(UnitDeserializer::<E>::new());
            return unit.or_else(|_| T::deserialize(MapDeserializer::new(std::iter::empty::<(&str, ())>())));
        }
        // By the deserializer that options in a file are read by: another would be compiled for each kind.
        let none = Spanned::new(0..0, DeValue::Table(DeTable::new()));
        T::deserialize(ValueDeserializer::from(none)).map_err(|e| E::custom(e.message()))
    }
}

/// The options that follow a name.
struct NextValue<'a, A>(&'a mut A);

impl<'de, A: MapAccess<'de>> ReadOptions<A::Error> for NextValue<'_, A> {
    fn read<T: DeserializeOwned>(self) -> Result<T, A::Error> {
        if const { size_of::<T>() > 0 } {
            return self.0.next_value();
        }
        match self.0.next_value::<Options>()?.first_name() {
            Some(name) => Err(A::Error::custom(format!("unknown option `{name}`, expected none"))),
            None => NameAlone.read(),
        }
    }
}

type Read<T> = Arc<dyn Fn(&Options) -> Result<Arc<T>> + Send + Sync>;

/// A kind that a user registered.
struct Registered<K: Kinds> {
    name: &'static str,
    kind: KindType,
    read: Read<K::Object>,
    write: K::Write,
}

/// The kinds that users registered, for the whole process.
pub(crate) struct Registry<K: Kinds>(RwLock<Vec<Registered<K>>>);

impl<K: Kinds> Registry<K> {
    pub(crate) const fn new() -> Registry<K> {
        Registry(RwLock::new(Vec::new()))
    }

    /// What `find` finds among them. Options may hold other kinds: nothing is read or written in here.
    fn with<T>(&self, find: impl FnOnce(&[Registered<K>]) -> T) -> T {
        find(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes a kind known by `name`. Once more does no harm. Errors when the name, or the type, belongs to another.
pub(crate) fn register<K: Kinds, L: DeserializeOwned + Any>(
    name: &'static str,
    object: impl Fn(L) -> Result<Arc<K::Object>> + Send + Sync + 'static,
    write: K::Write,
) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Error::invalid(format!(
            "a name in model files is of a to z, A to Z, 0 to 9 and _: letters, digits and underscores, got '{name}'"
        )));
    }
    let taken = |by: &str| Error::invalid(format!("'{name}' is taken by {by}: give yours another name"));
    let noun = K::NOUN;
    if K::BUILT_IN.contains(&name) {
        return Err(taken(&format!("{noun} of gannet, the '{name}' in this crate")));
    }
    let mut kinds = K::registry().0.write().unwrap_or_else(PoisonError::into_inner);
    let kind = KindType::of::<L>();
    if let Some(known) = kinds.iter().find(|known| known.name == name) {
        return if known.kind.id == kind.id { Ok(()) } else { Err(taken(known.kind.name)) };
    }
    if !K::OBJECTS_SAY_NAMES
        && let Some(known) = kinds.iter().find(|known| known.kind.id == kind.id)
    {
        return Err(Error::invalid(format!(
            "{noun} '{}' is registered as {} already, so it cannot be '{name}'",
            known.name, kind.name
        )));
    }
    let read = move |options: &Options| object(options.to()?);
    kinds.push(Registered { name, kind, read: Arc::new(read), write });
    Ok(())
}

/// The names of all kinds: this crate's, and then those registered.
pub(crate) fn names<K: Kinds>() -> Vec<&'static str> {
    let registered = K::registry().with(|kinds| kinds.iter().map(|kind| kind.name).collect());
    [K::BUILT_IN.to_vec(), registered].concat()
}

/// The type that has that name in files.
pub(crate) fn type_of<K: Kinds>(name: &str) -> Option<KindType> {
    let registered =
        || K::registry().with(|kinds| kinds.iter().find(|kind| kind.name == name).map(|kind| kind.kind));
    K::built_in(name).or_else(registered)
}

/// How the options of the registered kind of that name are read.
fn registered<K: Kinds>(name: &str) -> Option<Read<K::Object>> {
    K::registry().with(|kinds| kinds.iter().find(|kind| kind.name == name).map(|kind| kind.read.clone()))
}

/// The kind of that name with these options, if it is a registered one.
pub(crate) fn read_registered<K: Kinds>(name: &str, options: &Options) -> Option<Result<Arc<K::Object>>> {
    registered::<K>(name).map(|read| read(options))
}

/// The kind of that name.
pub(crate) fn read<K: Kinds, E: serde::de::Error>(
    name: &str,
    options: impl ReadOptions<E>,
) -> Result<Arc<K::Object>, E> {
    if let Some(read) = registered::<K>(name) {
        return read(&options.read()?).map_err(E::custom);
    }
    K::read(name, options).unwrap_or_else(|| {
        // The words of serde.
        let names: Vec<String> = names::<K>().into_iter().map(|name| format!("`{name}`")).collect();
        Err(E::custom(format!("unknown variant `{name}`, expected one of {}", names.join(", "))))
    })
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
            read::<K, E>(name, NameAlone)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let name: String = map
                .next_key()?
                .ok_or_else(|| A::Error::custom(format!("expected {}, got an empty table", K::NOUN)))?;
            let object = read::<K, A::Error>(&name, NextValue(&mut map))?;
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
pub(crate) fn serialize<K: Written, S: Serializer>(
    object: &K::Object,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let any = K::any(object);
    let serializer = match K::write(any, serializer) {
        Ok(done) => return done,
        Err(serializer) => serializer,
    };
    let registered = K::registry()
        .with(|kinds| kinds.iter().find(|kind| kind.kind.id == any.type_id()).map(|k| (k.name, k.write)));
    let (name, options) =
        registered.and_then(|(name, write)| Some((name, write(any)?))).ok_or_else(|| {
            S::Error::custom(format!(
                "{} that a file cannot name: {object:?}; make it known with {} first",
                K::NOUN,
                K::REGISTER
            ))
        })?;
    let options = options.map_err(|e| S::Error::custom(format!("the options of '{name}': {e}")))?;
    write_named(name, &options, options.is_empty(), serializer)
}

/// Writes a name with its options, in their order; where there are none, the name alone.
pub(crate) fn write_named<S: Serializer>(
    name: &str,
    options: &impl Serialize,
    none: bool,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if none {
        return serializer.serialize_str(name);
    }
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, options)?;
    map.end()
}

/// Implements [`Kinds`] for a type, from the names and types of this crate's kinds; with the words `made known with` also
/// [`Written`].
macro_rules! kinds {
    (
        $kinds:ident of $object:ty: $noun:literal, like $example:literal, made known with $register:literal
        $($name:ident: $kind:ty,)*
    ) => {
        $crate::kinds::kinds! {
            $kinds of $object, $crate::kinds::WriteOptions, false: $noun, like $example
            $($name: $kind,)*
        }

        impl $crate::kinds::Written for $kinds {
            const REGISTER: &'static str = $register;

            fn write<S: serde::Serializer>(
                object: &dyn std::any::Any,
                serializer: S,
            ) -> Result<Result<S::Ok, S::Error>, S> {
                $(if let Some(kind) = object.downcast_ref::<$kind>() {
                    let none = size_of::<$kind>() == 0;
                    return Ok($crate::kinds::write_named(stringify!($name), kind, none, serializer));
                })*
                Err(serializer)
            }

            fn any(object: &$object) -> &dyn std::any::Any {
                object
            }
        }
    };
    (
        $kinds:ident of $object:ty, that say their kinds: $noun:literal, like $example:literal
        $($name:ident: $kind:ty,)*
    ) => {
        $crate::kinds::kinds! { $kinds of $object, (), true: $noun, like $example $($name: $kind,)* }
    };
    (
        $kinds:ident of $object:ty, $write:ty, $objects_say_names:literal: $noun:literal, like $example:literal
        $($name:ident: $kind:ty,)*
    ) => {
        pub(crate) struct $kinds;

        impl $crate::kinds::Kinds for $kinds {
            type Object = $object;
            type Write = $write;
            const NOUN: &'static str = $noun;
            const EXAMPLE: &'static str = $example;
            const OBJECTS_SAY_NAMES: bool = $objects_say_names;
            const BUILT_IN: &'static [&'static str] = &[$(stringify!($name)),*];

            fn built_in(name: &str) -> Option<$crate::kinds::KindType> {
                match name {
                    $(stringify!($name) => Some($crate::kinds::KindType::of::<$kind>()),)*
                    _ => None,
                }
            }

            fn read<E: serde::de::Error>(
                name: &str,
                options: impl $crate::kinds::ReadOptions<E>,
            ) -> Option<Result<std::sync::Arc<$object>, E>> {
                match name {
                    $(stringify!($name) => Some(
                        options.read::<$kind>().map(|kind| std::sync::Arc::new(kind) as std::sync::Arc<$object>),
                    ),)*
                    _ => None,
                }
            }

            fn registry() -> &'static $crate::kinds::Registry<$kinds> {
                static REGISTRY: $crate::kinds::Registry<$kinds> = $crate::kinds::Registry::new();
                &REGISTRY
            }
        }
    };
}
pub(crate) use kinds;
