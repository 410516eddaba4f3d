//! Where the numbers are computed.
//!
//! All devices are one backend, so that what trains and draws is compiled once for them, and not once for each.

use std::sync::Arc;

use gannet::tensor::{self, Backend, Operation, Plan, Reference, Shape};
use gannet_cpu::Cpu;
use gannet_gpu::{Options, Tile, Wgpu};

use crate::arguments::{DeviceArgs, DeviceChoice};
use crate::error::{Error, Result};
use crate::terminal::{counted, note};
use crate::tiles_file::{TilesFile, in_words};

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

    /// This machine's CPU with as many threads as it has cores: for what runs there whatever trains.
    pub fn cpu() -> Result<Self> {
        Ok(Device::Cpu(Cpu::new().map_err(Error::failure)?))
    }

    /// What `--device` calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Device::Cpu(_) => "cpu",
            Device::Gpu(_) => "gpu",
            Device::Reference(_) => "reference",
        }
    }

    /// Which tiles a GPU computes products in, in words. It changes how long they take, and no bit of their results.
    pub fn tiles(&self) -> Option<String> {
        let Device::Gpu(gpu) = self else { return None };
        Some(match tile_asked() {
            Ok(Some(tile)) => format!("{} ({TILES})", tile.name()),
            _ if gpu.tiles().is_empty() => "by rule".into(),
            _ => in_words(gpu.tiles()),
        })
    }

    /// The threads that compute on this machine's CPU.
    pub fn threads(&self) -> usize {
        match self {
            Device::Cpu(cpu) => cpu.threads(),
            Device::Gpu(_) | Device::Reference(_) => 1,
        }
    }
}

/// The environment variable that names the tile of all products that have it.
pub const TILES: &str = "GANNET_TILES";

/// The tile that the environment asks for. Errors when there is none of that name.
fn tile_asked() -> Result<Option<Tile>> {
    let Some(name) = std::env::var_os(TILES) else { return Ok(None) };
    let name = name.to_string_lossy();
    let known = || Tile::ALL.map(Tile::name).join(", ");
    match Tile::find(&name) {
        Some(tile) => Ok(Some(tile)),
        None => Err(Error::Usage(format!("{TILES} is '{name}'; expected one of {}", known()))),
    }
}

/// Opens the GPU that the flags name, with the tiles that `tune` has measured there, and says so.
pub fn gpu(args: &DeviceArgs) -> Result<Device> {
    let asked = tile_asked()?;
    let gpu = plain_gpu(args)?;
    if let Some(tile) = asked {
        note(&format!("tiles of products: {} wherever it fits, as {TILES} says", tile.name()));
        return Ok(Device::Gpu(gpu));
    }
    // Without a cache folder nothing has been measured.
    let Ok(file) = TilesFile::of(&gpu) else { return Ok(Device::Gpu(gpu)) };
    Ok(Device::Gpu(match file.read() {
        Ok(None) => gpu,
        Ok(Some(tiles)) => {
            let products = counted(tiles.len() as u64, "product");
            note(&format!("tiles of {products} as measured: {}", file.path().display()));
            gpu.with_tiles(tiles)
        }
        Err(error) => {
            note(&error.line());
            gpu
        }
    }))
}

/// Opens the GPU that the flags name, with the tiles that follow the rule.
pub fn plain_gpu(args: &DeviceArgs) -> Result<Wgpu> {
    let options = Options {
        adapter: args.adapter.clone(),
        cache: gannet_data::cache_folder().ok(),
        progress: Some(Arc::new(|done, of| {
            if done == of {
                note(&format!("{of} shaders compiled"));
            }
        })),
        ..Options::default()
    };
    Wgpu::new(&options).map_err(Error::failure)
}

/// What belongs to one of the devices.
#[derive(Clone)]
pub enum Own<C, G, R> {
    /// The CPU's.
    Cpu(C),
    /// A GPU's.
    Gpu(G),
    /// That of the plain loops.
    Reference(R),
}

type StorageOf<B> = <B as Backend>::Storage;
type ExecutableOf<B> = <B as Backend>::Executable;

/// The expression on whichever device it is.
macro_rules! on_any {
    ($device:expr, $backend:ident => $result:expr) => {
        match $device {
            Device::Cpu($backend) => $result,
            Device::Gpu($backend) => $result,
            Device::Reference($backend) => $result,
        }
    };
}

/// The expression on whichever device it is, with what belongs to it. An error when it belongs to another.
macro_rules! on_own {
    ($device:expr, $of:expr, ($backend:ident, $own:ident) => $result:expr) => {
        match ($device, $of) {
            (Device::Cpu($backend), Own::Cpu($own)) => $result,
            (Device::Gpu($backend), Own::Gpu($own)) => $result,
            (Device::Reference($backend), Own::Reference($own)) => $result,
            _ => Err(foreign()),
        }
    };
}

/// Memory or a program of another device.
fn foreign() -> tensor::Error {
    tensor::Error::new("what belongs to one device was given to another")
}

impl Backend for Device {
    type Element = f32;
    type Storage = Own<StorageOf<Cpu>, StorageOf<Wgpu>, StorageOf<Reference<f32>>>;
    type Executable = Own<ExecutableOf<Cpu>, Box<ExecutableOf<Wgpu>>, ExecutableOf<Reference<f32>>>;

    fn describe(&self) -> String {
        on_any!(self, device => device.describe())
    }

    fn supports(&self, op: &dyn Operation, inputs: &[Shape], output: Shape) -> bool {
        on_any!(self, device => device.supports(op, inputs, output))
    }

    fn allocate(&self, label: &str, elements: usize) -> tensor::Result<Self::Storage> {
        Ok(match self {
            Device::Cpu(cpu) => Own::Cpu(cpu.allocate(label, elements)?),
            Device::Gpu(gpu) => Own::Gpu(gpu.allocate(label, elements)?),
            Device::Reference(reference) => Own::Reference(reference.allocate(label, elements)?),
        })
    }

    fn write(&self, storage: &Self::Storage, data: &[f32]) -> tensor::Result<()> {
        on_own!(self, storage, (device, storage) => device.write(storage, data))
    }

    fn read(&self, storage: &Self::Storage, out: &mut [f32]) -> tensor::Result<()> {
        on_own!(self, storage, (device, storage) => device.read(storage, out))
    }

    fn compile(&self, plan: Arc<Plan>, variables: Vec<Self::Storage>) -> tensor::Result<Self::Executable> {
        /// The memory of all variables, which is that of one device.
        fn owned<S, T>(variables: Vec<S>, own: impl Fn(S) -> Option<T>) -> tensor::Result<Vec<T>> {
            variables.into_iter().map(|storage| own(storage).ok_or_else(foreign)).collect()
        }
        Ok(match self {
            Device::Cpu(cpu) => {
                let own = |storage| if let Own::Cpu(own) = storage { Some(own) } else { None };
                Own::Cpu(cpu.compile(plan, owned(variables, own)?)?)
            }
            Device::Gpu(gpu) => {
                let own = |storage| if let Own::Gpu(own) = storage { Some(own) } else { None };
                Own::Gpu(Box::new(gpu.compile(plan, owned(variables, own)?)?))
            }
            Device::Reference(reference) => {
                let own = |storage| if let Own::Reference(own) = storage { Some(own) } else { None };
                Own::Reference(reference.compile(plan, owned(variables, own)?)?)
            }
        })
    }

    fn write_input(&self, program: &mut Self::Executable, index: usize, data: &[f32]) -> tensor::Result<()> {
        on_own!(self, program, (device, program) => device.write_input(program, index, data))
    }

    fn run(&self, program: &mut Self::Executable) -> tensor::Result<()> {
        on_own!(self, program, (device, program) => device.run(program))
    }

    fn read_output(
        &self,
        program: &mut Self::Executable,
        index: usize,
        out: &mut [f32],
    ) -> tensor::Result<()> {
        on_own!(self, program, (device, program) => device.read_output(program, index, out))
    }

    fn request_output(&self, program: &mut Self::Executable, index: usize) -> tensor::Result<bool> {
        on_own!(self, program, (device, program) => device.request_output(program, index))
    }

    fn collect_output(
        &self,
        program: &mut Self::Executable,
        index: usize,
        out: &mut [f32],
        wait: bool,
    ) -> tensor::Result<bool> {
        on_own!(self, program, (device, program) => device.collect_output(program, index, out, wait))
    }
}
