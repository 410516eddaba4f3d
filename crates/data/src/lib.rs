//! Sets of images: published ones, one's own files and folders, and the batches that a training step takes.
//!
//! - [`DataSet`] is one part of a set, opened: by a name ([`NamedSet`]) or from a path, as a [`Request`] says.
//! - [`Images`] is what every set can do: images of one size, read in any order and from several threads.
//! - [`Batches`] are shuffled by a seed, prepared ahead by a thread of their own, and begin at any position.
//!
//! The ground is [`Images`], [`ImageShape`], [`Split`] and [`Stored`]; above it stand the [`formats`] of files, then the
//! [`sets`] that are published in them, then batches, and [`DataSet`] on top, which opens all of it.

#![forbid(unsafe_code)]

mod batches;
mod data_set;
mod error;
pub mod files;
mod fingerprint;
pub mod formats;
mod image_shape;
mod images;
mod labelled_images;
mod listener;
mod named_set;
pub mod pictures;
mod positioned;
pub mod sets;
mod shuffle;
mod split;
mod stored;
pub mod transforms;

pub use batches::Batches;
pub use data_set::{DataRecord, DataSet, Reopened, Request, Source};
pub use error::{Error, Result};
pub use image_shape::ImageShape;
pub use images::{Images, Scratch};
pub use labelled_images::LabelledImages;
pub use listener::{Listener, Progress, Silent};
pub use named_set::NamedSet;
pub use sets::cached::cache_folder;
pub use shuffle::Shuffle;
pub use split::Split;
pub use stored::Stored;

/// Its snippet is run.
#[cfg(all(doctest, feature = "mnist"))]
#[doc = include_str!("../README.md")]
struct Readme;
