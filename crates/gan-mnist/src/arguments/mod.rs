//! What several commands take: values and how they are read, and the flags of a device, of images and of ranks.

mod capacity;
mod data;
mod device;
mod ending;
mod every;
mod live;
mod numbers;
mod preset;
mod ranks;

pub use capacity::capacity;
pub use data::DataArgs;
pub(crate) use data::{image_size, resize};
pub use device::{DeviceArgs, DeviceChoice};
pub(crate) use ending::check_ending;
pub use every::Every;
pub use live::LiveArgs;
pub use numbers::Seeds;
pub(crate) use numbers::{learning_rate, minutes, port, seeds, truncation, whole_number};
pub use preset::{DEFAULT_PRESET, preset};
pub use ranks::RankArgs;
