//! What the program can do, one file each.

pub mod bench;
pub mod data;
pub mod devices;
pub mod evaluate;
pub mod explore;
pub mod export;
pub mod generate;
pub mod import;
pub mod interpolate;
pub mod live;
pub mod neighbours;
pub mod presets;
pub mod project;
pub mod report;
pub mod resume;
pub mod train;
pub mod train_classifier;
pub mod tune;
pub mod verify;
