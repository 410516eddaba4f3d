//! Images as the command line chooses them, and how they reach a training step.

mod args;
mod batches;
mod compared;
mod fit;
mod listener;

pub use args::DataArgs;
pub use batches::batches_of;
pub use compared::Compared;
pub(crate) use fit::{check_fit, check_fit_images, fit_classes, images_of};
pub use listener::Terminal;
