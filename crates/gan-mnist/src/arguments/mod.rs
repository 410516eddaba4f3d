//! What several commands take: values and how they are read, and the flags of a device and of images.

mod data;
mod device;
mod every;
mod numbers;
mod preset;

pub use data::DataArgs;
pub use device::{DeviceArgs, DeviceChoice};
pub use every::Every;
pub(crate) use numbers::{learning_rate, whole_number};
pub use preset::{DEFAULT_PRESET, preset};
