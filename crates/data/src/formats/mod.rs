//! The formats of files that hold images.

pub(crate) mod archive;
pub(crate) mod array;
pub mod cifar;
pub mod idx;
pub(crate) mod idx_files;
