//! The formats of files that hold images.

pub(crate) mod archive;
pub mod cifar;
pub mod folder;
pub mod idx;
pub(crate) mod idx_files;
