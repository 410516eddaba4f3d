//! `gan-mnist live`: a run in the browser, by its files.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::port;
use crate::error::Result;
use crate::live::follow;
use crate::server::Listener;
use crate::training::Interrupt;

/// The flags of `live`.
#[derive(Debug, Clone, Args)]
pub struct LiveCommandArgs {
    /// The run directory, whether another process trains it or not; nothing in it is changed
    pub run: PathBuf,
    /// Where to listen on this machine [default: any port that is free]
    #[arg(long, value_name = "PORT", default_value = "0", hide_default_value = true, value_parser = port, allow_negative_numbers = true)]
    pub port: u16,
}

/// Shows the run until Ctrl-C.
pub fn run(args: &LiveCommandArgs) -> Result<()> {
    let listener = Listener::bind("--port", args.port)?;
    follow(listener, &args.run, &Interrupt::listen(true)?)
}
