//! Everything that makes a GAN: two models, a loss, optimisers, a schedule. It is data: it can be written as a
//! model file (TOML) and read again.

mod check;
mod following;
mod gan_config;
mod model_file;
mod woven;

pub use gan_config::GanConfig;
pub(crate) use model_file::Form;
