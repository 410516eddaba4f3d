//! How good generated images are, beside real ones.

mod compared;
mod evaluator;
mod features;
mod image_set;
mod learning;

pub use compared::Compared;
pub use evaluator::{Evaluator, LEAST, check_counts, check_fits};
pub use features::ClassifierFile;
pub use image_set::ImageSet;
pub use learning::{learn, learn_unknown};
