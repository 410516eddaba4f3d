//! The device as a backend: how it is opened, and what it does for programs.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gannet_dispatch::{Tiles, buffer_bytes, supports};
use gannet_tensor::{Backend, Error, Operation, Plan, Result, Shape};

use crate::adapter;
use crate::buffer::Storage;
use crate::executable::Executable;
use crate::gpu::{Gpu, Tally, Trouble};
use crate::pipelines::{Pipelines, Progress};
use crate::readback;

/// How to open a device.
#[derive(Clone, Default)]
pub struct Options {
    /// The adapter: its number in [`adapters`](crate::adapters), or part of its name. Without one
    /// `WGPU_ADAPTER_NAME` decides, otherwise the first GPU.
    pub adapter: Option<String>,
    /// Run shaders with bounds checks, bounded loops and guarded divisions.
    pub checked: bool,
    /// Keep to WebGPU's default limits even where the adapter offers more.
    pub default_limits: bool,
    /// Folder of the pipeline cache; without one pipelines are compiled anew in every process.
    pub cache: Option<PathBuf>,
    /// Called while shaders are compiled.
    pub progress: Option<Progress>,
}

/// What a device holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Buffers that exist now.
    pub buffers: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Pipelines made so far.
    pub pipelines: u64,
    /// Bind groups made so far.
    pub bind_groups: u64,
    /// Submissions so far.
    pub submissions: u64,
    /// Dispatches so far.
    pub dispatches: u64,
    /// Submissions that were not known to be finished when the last run returned.
    pub queued: u64,
    /// Times that the host waited for numbers that had not arrived yet.
    pub waits: u64,
    /// What the host took so far to write the inputs of programs, which includes no waiting for the device.
    pub writing: Duration,
    /// What it took to record the dispatches of runs.
    pub recording: Duration,
    /// What it took to hand them to the driver. Where software is the device, some of its work may be done meanwhile.
    pub submitting: Duration,
}

/// A GPU. Clones share it.
#[derive(Clone)]
pub struct Wgpu {
    pub(crate) gpu: Arc<Gpu>,
    pub(crate) pipelines: Arc<Pipelines>,
    pub(crate) tiles: Arc<Tiles>,
}

impl Wgpu {
    /// Opens the device that `options` choose.
    ///
    /// # Errors
    /// When there is no such adapter (the message lists those there are), or its driver refuses a device.
    pub fn new(options: &Options) -> Result<Wgpu> {
        let adapter = adapter::choose(options.adapter.as_deref())?;
        let info = adapter.get_info();
        let offered = adapter.limits();
        let mut limits = wgpu::Limits::default();
        // Nothing is drawn: an adapter without render targets does too.
        limits.max_color_attachments = limits.max_color_attachments.min(offered.max_color_attachments);
        if !options.default_limits {
            limits.max_buffer_size = offered.max_buffer_size;
            limits.max_storage_buffer_binding_size = offered.max_storage_buffer_binding_size;
            limits.min_storage_buffer_offset_alignment = offered.min_storage_buffer_offset_alignment;
            limits.min_uniform_buffer_offset_alignment = offered.min_uniform_buffer_offset_alignment;
        }
        let wanted = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE;
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("gannet"),
            required_features: adapter.features() & wanted,
            required_limits: limits,
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        }))
        .map_err(|error| Error::new(format!("the adapter {} gives no device: {error}", info.name)))?;
        let trouble = Arc::new(Mutex::new(Trouble::default()));
        let shared = trouble.clone();
        device.set_device_lost_callback(move |reason, message| {
            let text = if message.is_empty() { format!("{reason:?}") } else { message };
            shared.lock().unwrap_or_else(|e| e.into_inner()).lost.get_or_insert(text);
        });
        let shared = trouble.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            shared.lock().unwrap_or_else(|e| e.into_inner()).error.get_or_insert(error.to_string());
        }));
        let pipelines = Pipelines::new(&device, &info, options.cache.as_deref(), options.progress.clone());
        let limits = device.limits();
        let tally = Arc::new(Tally {
            buffers: 0.into(),
            bytes: 0.into(),
            pipelines: 0.into(),
            bind_groups: 0.into(),
            submissions: 0.into(),
            dispatches: 0.into(),
            queued: 0.into(),
            waits: 0.into(),
            writing: 0.into(),
            recording: 0.into(),
            submitting: 0.into(),
            budget: u64::MAX.into(),
        });
        let checked = options.checked;
        let runs = Mutex::default();
        let gpu = Gpu { info, device, queue, limits, checked, tally, trouble, runs };
        Ok(Wgpu { gpu: Arc::new(gpu), pipelines: Arc::new(pipelines), tiles: Arc::default() })
    }

    /// The same device, which computes products of programs that are made from now on in these tiles, as
    /// [`time_tiles`](Wgpu::time_tiles) finds the best for instance. Results keep their bits.
    pub fn with_tiles(self, tiles: Tiles) -> Wgpu {
        Wgpu { tiles: Arc::new(tiles), ..self }
    }

    /// The tiles of products, where they do not follow a rule.
    pub fn tiles(&self) -> &Tiles {
        &self.tiles
    }

    /// What the device holds and has done.
    pub fn counters(&self) -> Counters {
        let tally = &self.gpu.tally;
        Counters {
            buffers: tally.buffers.load(Relaxed),
            bytes: tally.bytes.load(Relaxed),
            pipelines: tally.pipelines.load(Relaxed),
            bind_groups: tally.bind_groups.load(Relaxed),
            submissions: tally.submissions.load(Relaxed),
            dispatches: tally.dispatches.load(Relaxed),
            queued: tally.queued.load(Relaxed),
            waits: tally.waits.load(Relaxed),
            writing: Duration::from_nanos(tally.writing.load(Relaxed)),
            recording: Duration::from_nanos(tally.recording.load(Relaxed)),
            submitting: Duration::from_nanos(tally.submitting.load(Relaxed)),
        }
    }

    /// Waits until all that was handed over is done.
    ///
    /// # Errors
    /// When the device is lost or has reported an error.
    pub fn finish(&self) -> Result<()> {
        let waited = self.gpu.device.poll(wgpu::PollType::wait_indefinitely());
        self.gpu.queue_is_done();
        self.gpu.check()?;
        let waiting = |error| Error::new(format!("waiting for the GPU {}: {error}", self.gpu.info.name));
        waited.map(|_| ()).map_err(waiting)
    }

    /// Whether [`profile`](Wgpu::profile) can time dispatches on this adapter.
    pub fn has_timestamps(&self) -> bool {
        self.gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// The name of the adapter.
    pub fn name(&self) -> &str {
        &self.gpu.info.name
    }

    /// What reaches the adapter: Vulkan, Metal, DirectX 12.
    pub fn api(&self) -> String {
        self.gpu.info.backend.to_string()
    }

    /// The driver, with its version.
    pub fn driver(&self) -> String {
        adapter::driver(&self.gpu.info)
    }

    /// Fault injection for tests, and a cap for shared machines: allocations that would take the buffers of this
    /// device over `bytes` fail as if memory were full.
    pub fn limit_memory(&self, bytes: u64) {
        self.gpu.tally.budget.store(bytes, Relaxed);
    }

    /// Fault injection for tests: the device is asked for something invalid, as a defect of a driver or of this
    /// engine would do. The next call errors.
    #[doc(hidden)]
    pub fn misuse_device(&self) {
        let descriptor = wgpu::BufferDescriptor {
            label: Some("invalid"),
            size: 16,
            usage: wgpu::BufferUsages::empty(),
            mapped_at_creation: false,
        };
        drop(self.gpu.device.create_buffer(&descriptor));
    }

    /// Fault injection for tests: the device is lost from here on, as when a driver resets it.
    #[doc(hidden)]
    pub fn lose_device(&self) {
        self.gpu.device.destroy();
        let mut trouble = self.gpu.trouble.lock().unwrap_or_else(|e| e.into_inner());
        trouble.lost.get_or_insert("destroyed".into());
    }
}

impl Backend for Wgpu {
    type Element = f32;
    type Storage = Storage;
    type Executable = Executable;

    fn describe(&self) -> String {
        let info = &self.gpu.info;
        let checked = if self.gpu.checked { ", checked shaders" } else { "" };
        format!("{} ({}, {} {}{checked})", info.name, info.backend, info.driver, info.driver_info)
    }

    fn supports(&self, op: &dyn Operation, inputs: &[Shape], output: Shape) -> bool {
        supports(op, inputs, output)
    }

    fn allocate(&self, label: &str, elements: usize) -> Result<Storage> {
        self.gpu.tensor(label, buffer_bytes(elements)).map(|buffer| Storage(Arc::new(buffer)))
    }

    fn write(&self, storage: &Storage, data: &[f32]) -> Result<()> {
        self.gpu.check()?;
        self.gpu.queue.write_buffer(&storage.0.raw, 0, bytemuck::cast_slice(data));
        self.gpu.check()
    }

    fn read(&self, storage: &Storage, out: &mut [f32]) -> Result<()> {
        readback::read_now(&self.gpu, &storage.0, 0, out)
    }

    fn compile(&self, plan: Arc<Plan>, variables: Vec<Storage>) -> Result<Executable> {
        Executable::new(&self.gpu, &self.pipelines, &self.tiles, plan, variables)
    }

    fn write_input(&self, program: &mut Executable, index: usize, data: &[f32]) -> Result<()> {
        program.write_input(index, data)
    }

    fn run(&self, program: &mut Executable) -> Result<()> {
        program.run()
    }

    fn read_output(&self, program: &mut Executable, index: usize, out: &mut [f32]) -> Result<()> {
        program.read_output(index, out)
    }

    fn request_output(&self, program: &mut Executable, index: usize) -> Result<bool> {
        program.request(index);
        Ok(true)
    }

    fn collect_output(
        &self,
        program: &mut Executable,
        index: usize,
        out: &mut [f32],
        wait: bool,
    ) -> Result<bool> {
        program.collect(index, out, wait)
    }
}
