//! Images that the command line chooses, and how they reach a training step.

mod batches;
mod feed;
mod fit;
mod made_up;
mod open;

pub use batches::batches_of;
pub(crate) use batches::labels_of;
pub use feed::{Feed, Same, StepError};
pub(crate) use fit::{check_fit, check_fit_images, fit_classes, images_of, name_classes};
pub use made_up::made_up;
pub use open::open_training;
