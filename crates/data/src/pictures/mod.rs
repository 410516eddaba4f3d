//! People's own pictures: folders and archives of them, looked through before anything is trained.
//!
//! `kind` tells formats apart and `decode` reads them; `source` is where files lie, in a folder or an archive;
//! `scan` looks at every one and finds their classes (`labels`); what it found is a [`Manifest`], which people read
//! as a [`Summary`] and training reads as [`Pictures`].

mod decode;
mod fault;
mod gif;
mod kind;
mod labels;
mod manifest;
mod name;
mod scan;
mod set;
mod single;
mod source;
mod summary;

pub use decode::{Header, Levels};
pub use fault::{Fault, Reason};
pub use kind::Kind;
pub use manifest::{Changes, Hash, Looks, Manifest, Seen};
pub use name::{Name, natural_order};
pub(crate) use scan::{Scan, ScanOptions, scan};
pub use set::Pictures;
pub(crate) use set::{in_order_of, levels_of};
pub use single::read_picture;
pub(crate) use source::{ArchiveKind, zip_contents};
pub use summary::Summary;
