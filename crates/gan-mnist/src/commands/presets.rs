//! `gan-mnist presets`: the recipes that come with the program.

use clap::Args;
use clap::builder::PossibleValuesParser;
use gannet::presets;

use crate::error::Result;
use crate::terminal::say;

/// The flags of `presets`.
#[derive(Debug, Clone, Args)]
pub struct PresetsArgs {
    /// The preset whose model file to print; without it, all presets are listed
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(presets::names()))]
    pub name: Option<String>,
}

/// Lists the presets with a line each, or prints the model file of one.
pub fn run(args: &PresetsArgs) -> Result<()> {
    match &args.name {
        Some(name) => say(presets::text(name)?.trim_end()),
        None => {
            let width = presets::names().map(str::len).max().unwrap_or_default();
            for name in presets::names() {
                say(&format!("{name:width$}  {}", presets::get(name)?.description));
            }
        }
    }
    Ok(())
}
