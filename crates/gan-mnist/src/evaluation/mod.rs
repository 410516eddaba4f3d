//! How good generated images are, beside real ones.

mod compared;
mod evaluator;
mod features;
mod image_set;

pub use compared::Compared;
pub use evaluator::{Evaluator, LEAST, check};
pub use features::ClassifierFile;
pub use image_set::ImageSet;
