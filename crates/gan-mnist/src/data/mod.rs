//! Images: where they come from, and how they reach a training step.

mod archived_set;
pub mod area;
mod args;
mod batches;
mod cached_set;
pub mod cifar;
mod colour;
mod compared;
mod data_set;
mod download;
mod fingerprint;
mod fit;
mod folder;
pub mod idx;
mod idx_files;
mod images;
mod labelled_images;
pub mod mnist;
mod positioned;
mod resized;
mod shuffle;

pub use args::{DataArgs, NamedSet};
pub use batches::Batches;
pub use colour::Coloured;
pub use compared::Compared;
pub use data_set::{DataRecord, DataSet, Split};
pub(crate) use fit::{check_fit, check_fit_images, fit_classes, images_of};
pub use folder::Folder;
pub use images::{Images, Scratch};
pub use labelled_images::LabelledImages;
pub use resized::Resized;
pub use shuffle::Shuffle;
