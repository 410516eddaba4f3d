//! A run that several processes share: the steps among them, and how they stay together.
//!
//! The first of them, rank 0, is the run: it reads the settings, writes all files, evaluates, decides. It tells the others
//! what comes next before each step, a few bytes, so that whatever it decides (to go back, to end) reaches all of them
//! between the same two steps. The others are told the recipe, the state and the images as the run begins, and only train:
//! they need no run directory.

mod checks;
mod control;
mod link;
mod local;
mod team;

pub use checks::Fingerprint;
pub use control::{Begin, Control};
pub use link::Link;
pub use team::Ranks;
