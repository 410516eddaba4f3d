//! Sets made of other sets.

mod area;
mod coloured;
mod resized;

pub use area::AreaFilter;
pub use coloured::Coloured;
pub use resized::Resized;
