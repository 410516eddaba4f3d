//! Sets made of other sets.

mod area;
mod coloured;
mod resized;
mod unlabelled;

pub use area::{AreaFilter, Resize};
pub use coloured::Coloured;
pub use resized::Resized;
pub(crate) use unlabelled::Unlabelled;
