//! `gan-mnist presets`: the recipes that come with the program.

use clap::Args;
use gannet::presets;

use crate::arguments::preset;
use crate::error::Result;
use crate::recipe::{self, PICTURES};
use crate::terminal::say;

/// The flags of `presets`.
#[derive(Debug, Clone, Args)]
pub struct PresetsArgs {
    /// The preset whose model file to print; without it, all presets are listed
    #[arg(value_name = "NAME", value_parser = preset())]
    pub name: Option<String>,
}

/// Lists the presets with a line each, or prints the model file of one.
pub fn run(args: &PresetsArgs) -> Result<()> {
    match &args.name {
        Some(name) => say(recipe::text(name)?.trim_end()),
        None => {
            let width = recipe::names().map(str::len).max().unwrap_or_default();
            for name in recipe::names() {
                let description = match name {
                    PICTURES => {
                        "networks made for your own pictures, what train --data begins with".to_owned()
                    }
                    name => presets::get(name)?.description,
                };
                say(&format!("{name:width$}  {description}"));
            }
        }
    }
    Ok(())
}
