//! Where the numbers are computed.

use std::path::PathBuf;
use std::sync::Arc;

use gannet::{Backend, Reference};
use gannet_cpu::Cpu;
use gannet_gpu::{Options, Wgpu};

use crate::arguments::{DeviceArgs, DeviceChoice};
use crate::error::{Error, Result};
use crate::terminal::note;

/// A device that is ready to use.
#[derive(Clone)]
pub enum Device {
    /// The fast CPU backend.
    Cpu(Cpu),
    /// A GPU.
    Gpu(Wgpu),
    /// Plain loops on one thread.
    Reference(Reference<f32>),
}

impl Device {
    /// Opens the device that the flags ask for: `auto` is a GPU where there is one, otherwise the CPU. Errors
    /// when there is no such adapter, threads cannot be started, or the environment asks for an instruction set
    /// that this CPU lacks.
    pub fn open(args: &DeviceArgs) -> Result<Self> {
        match args.device {
            DeviceChoice::Auto
                if args.adapter.is_some() || (args.threads.is_none() && gannet_gpu::has_gpu()) =>
            {
                gpu(args)
            }
            DeviceChoice::Gpu => gpu(args),
            DeviceChoice::Auto | DeviceChoice::Cpu => {
                if args.adapter.is_some() {
                    return Err(Error::Usage(
                        "--adapter chooses a GPU; it does not go with --device cpu".into(),
                    ));
                }
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
            Device::Gpu(_) => "gpu",
            Device::Reference(_) => "reference",
        }
    }

    /// The device in words.
    pub fn describe(&self) -> String {
        match self {
            Device::Cpu(cpu) => cpu.describe(),
            Device::Gpu(gpu) => gpu.describe(),
            Device::Reference(reference) => reference.describe(),
        }
    }

    /// The threads that compute on this machine's CPU.
    pub fn threads(&self) -> usize {
        match self {
            Device::Cpu(cpu) => cpu.threads(),
            Device::Gpu(_) | Device::Reference(_) => 1,
        }
    }
}

/// Opens the GPU that the flags name.
pub fn gpu(args: &DeviceArgs) -> Result<Device> {
    let options = Options {
        adapter: args.adapter.clone(),
        cache: cache_folder(),
        progress: Some(Arc::new(|done, of| {
            if done == of {
                note(&format!("{of} shaders compiled"));
            }
        })),
        ..Options::default()
    };
    Ok(Device::Gpu(Wgpu::new(&options).map_err(Error::failure)?))
}

/// Where compiled shaders are kept between runs: `gannet` in the user's cache folder, if there is one.
fn cache_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_CACHE_HOME").or_else(|| variable("LOCALAPPDATA"));
    let folder = folder.or_else(|| variable("HOME").map(|home| home.join(".cache")));
    folder.map(|folder| folder.join("gannet"))
}
