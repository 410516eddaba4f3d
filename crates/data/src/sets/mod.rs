//! Sets that are published: embedded, or fetched into a cache folder when they are first asked for.

pub(crate) mod archived;
pub(crate) mod cached;
#[cfg(feature = "download")]
mod download;
#[cfg(feature = "mnist")]
pub mod mnist;
mod published;
