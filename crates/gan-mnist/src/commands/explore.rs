//! `gan-mnist explore`: what a model has learnt, in the browser.

use std::path::PathBuf;

use clap::Args;
use gannet::Backend as _;

use super::generate::{class_names, load};
use crate::arguments::{DeviceArgs, port};
use crate::device::Device;
use crate::error::Result;
use crate::server::Listener;
use crate::training::Interrupt;
use crate::web;

/// The flags of `explore`.
#[derive(Debug, Clone, Args)]
pub struct ExploreArgs {
    /// A model.safetensors, or the run directory that holds it
    pub model: PathBuf,
    /// Where to listen on this machine [default: any port that is free]
    #[arg(long, value_name = "PORT", default_value = "0", hide_default_value = true, value_parser = port, allow_negative_numbers = true)]
    pub port: u16,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Serves the page of the model until Ctrl-C.
pub fn run(args: &ExploreArgs) -> Result<()> {
    let listener = Listener::bind("--port", args.port)?;
    let device = Device::open(&args.device)?;
    let gan = load(&device, &args.model)?;
    let names = class_names(&gan, &args.model)?;
    web::serve(listener, &gan, &names, &device.describe(), &Interrupt::listen(true)?)
}
