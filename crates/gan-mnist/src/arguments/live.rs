//! The flag of a page that shows a run.

use clap::Args;

use super::numbers::port;

/// The flag of a page that shows a run.
#[derive(Debug, Clone, Args)]
pub struct LiveArgs {
    /// Show the run in a browser of this machine while it trains, with buttons to save and to stop: the address is printed, with
    /// --quiet too. PORT is the one to use, behind everything else [default: any that is free]
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0", value_parser = port, allow_negative_numbers = true)]
    pub live: Option<u16>,
}
