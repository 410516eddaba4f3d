//! Where the numbers are computed.

use gannet::{Backend, Reference};
use gannet_cpu::Cpu;

use crate::cli::{DeviceArgs, DeviceChoice};
use crate::error::{Error, Result};

/// A device that is ready to use.
#[derive(Clone)]
pub enum Device {
    /// The fast CPU backend.
    Cpu(Cpu),
    /// Plain loops on one thread.
    Reference(Reference<f32>),
}

impl Device {
    /// Opens the device that the flags ask for. Errors when threads cannot be started or the environment asks
    /// for an instruction set that this CPU lacks.
    pub fn open(args: &DeviceArgs) -> Result<Self> {
        match args.device {
            DeviceChoice::Auto | DeviceChoice::Cpu => {
                let cpu = match args.threads {
                    Some(threads) => Cpu::with_threads(threads as usize),
                    None => Cpu::new(),
                };
                Ok(Device::Cpu(cpu.map_err(Error::failure)?))
            }
            DeviceChoice::Reference => Ok(Device::Reference(Reference::new())),
        }
    }

    /// What `--device` calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Device::Cpu(_) => "cpu",
            Device::Reference(_) => "reference",
        }
    }

    /// The device in words.
    pub fn describe(&self) -> String {
        match self {
            Device::Cpu(cpu) => cpu.describe(),
            Device::Reference(reference) => reference.describe(),
        }
    }

    /// Its threads.
    pub fn threads(&self) -> usize {
        match self {
            Device::Cpu(cpu) => cpu.threads(),
            Device::Reference(_) => 1,
        }
    }
}
