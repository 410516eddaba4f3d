//! The flags that choose a device.

use clap::{Args, ValueEnum};

use super::numbers::whole_number;

/// Where the numbers are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceChoice {
    /// A GPU where there is one, otherwise the CPU
    Auto,
    /// The CPU, with all its instructions and threads
    Cpu,
    /// A GPU, through Vulkan, Metal or DirectX 12
    Gpu,
    /// Plain loops on one thread, to compare with
    Reference,
}

/// The flags that choose a device.
#[derive(Debug, Clone, Args)]
pub struct DeviceArgs {
    /// Where to compute
    #[arg(long, value_name = "DEVICE", default_value = "auto", ignore_case = true)]
    pub device: DeviceChoice,
    /// Threads of the CPU device [default: one per core]
    #[arg(long, value_name = "T", value_parser = whole_number(1, 1024), allow_negative_numbers = true)]
    pub threads: Option<u64>,
    /// Which GPU: its number in `devices`, or part of its name [default: the first that is no software]
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
}
