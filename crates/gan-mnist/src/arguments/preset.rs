//! The names of presets.

use clap::builder::PossibleValuesParser;

use crate::recipe;

/// What is trained without --preset.
pub const DEFAULT_PRESET: &str = "cdcgan";

/// Parses the name of a preset.
pub fn preset() -> PossibleValuesParser {
    PossibleValuesParser::new(recipe::names())
}
