//! Compute pipelines: one per shader and device, made when first needed, in parallel, and cached on disk where
//! the driver offers it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use gannet_shaders::{Access, Shader};
use gannet_tensor::{Error, Result};

use crate::gpu::Gpu;

/// Told how many of how many shaders are compiled, as they are.
pub type Progress = Arc<dyn Fn(usize, usize) + Send + Sync>;

/// A pipeline with the layout of its bind groups.
pub(crate) struct Pipeline {
    pub(crate) raw: wgpu::ComputePipeline,
    pub(crate) layout: wgpu::BindGroupLayout,
}

/// All pipelines of a device, by [`Shader::id`].
pub(crate) struct Pipelines {
    made: Vec<OnceLock<Pipeline>>,
    disk: Option<Disk>,
    progress: Option<Progress>,
}

struct Disk {
    cache: wgpu::PipelineCache,
    path: PathBuf,
    /// The checksum of the data in the file, if it is whole. Held while the file is written.
    kept: Mutex<Option<u32>>,
}

/// How a file of compiled pipelines begins. The CRC-32 of the driver's data follows, little-endian, and then the data: neither
/// wgpu nor drivers notice all that can happen to a file.
const MAGIC: &[u8; 8] = b"GANNETPC";

/// The file of a driver's data.
fn sealed(data: &[u8]) -> Vec<u8> {
    [&MAGIC[..], &crc32fast::hash(data).to_le_bytes(), data].concat()
}

/// The driver's data in a file with its checksum, if the file is whole.
fn unsealed(file: &[u8]) -> Option<(u32, &[u8])> {
    let (checksum, data) = file.strip_prefix(MAGIC)?.split_first_chunk()?;
    let checksum = u32::from_le_bytes(*checksum);
    (crc32fast::hash(data) == checksum).then_some((checksum, data))
}

impl Pipelines {
    pub(crate) fn new(
        device: &wgpu::Device,
        info: &wgpu::AdapterInfo,
        folder: Option<&Path>,
        progress: Option<Progress>,
    ) -> Pipelines {
        let made = gannet_shaders::all().iter().map(|_| OnceLock::new()).collect();
        Pipelines { made, disk: folder.and_then(|folder| Disk::open(device, info, folder)), progress }
    }

    pub(crate) fn get(&self, shader: &Shader) -> Result<&Pipeline> {
        self.made[shader.id].get().ok_or_else(|| {
            Error::new(format!("the shader '{}' was not prepared before its use", shader.name))
        })
    }

    /// Makes the pipelines of `shaders` that are not there yet, on several threads.
    pub(crate) fn prepare(&self, gpu: &Gpu, shaders: &[&'static Shader]) -> Result<()> {
        let mut missing: Vec<&'static Shader> =
            shaders.iter().copied().filter(|shader| self.made[shader.id].get().is_none()).collect();
        missing.sort_by_key(|shader| shader.id);
        missing.dedup_by_key(|shader| shader.id);
        if missing.is_empty() {
            return Ok(());
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(missing.len());
        let (next, done, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(None));
        let report = |done: usize| {
            if let Some(progress) = &self.progress {
                progress(done, missing.len());
            }
        };
        report(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(shader) = missing.get(next.fetch_add(1, Relaxed)) {
                        match make(gpu, shader, self.disk.as_ref().map(|disk| &disk.cache)) {
                            Ok(pipeline) => {
                                if self.made[shader.id].set(pipeline).is_ok() {
                                    gpu.tally.pipelines.fetch_add(1, Relaxed);
                                }
                            }
                            Err(error) => {
                                failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
                            }
                        }
                        report(done.fetch_add(1, Relaxed) + 1);
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
            return Err(error);
        }
        if let Some(disk) = &self.disk {
            disk.save();
        }
        Ok(())
    }
}

impl Disk {
    fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<Disk> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let path = folder.join(wgpu::util::pipeline_cache_key(info)?);
        let file = std::fs::read(&path).unwrap_or_default();
        let (checksum, data) = unsealed(&file).unzip();
        // SAFETY: the data is what `save` wrote, as its checksum says, from this crate, for an adapter of the same vendor and
        // device; `fallback` lets the driver start from nothing where its own check refuses the data.
        let cache = unsafe {
            device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                label: Some("gannet"),
                data,
                fallback: true,
            })
        };
        Some(Disk { cache, path, kept: Mutex::new(checksum) })
    }

    /// Writes the cache beside its file and renames it, so that a reader never sees half of it, unless the file holds the same.
    /// A cache that cannot be written costs time at the next start and nothing else, so errors are dropped.
    fn save(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(|e| e.into_inner());
        let Some(data) = self.cache.get_data() else { return };
        let checksum = Some(crc32fast::hash(&data));
        if *kept == checksum {
            return;
        }
        let temporary = self.path.with_extension(format!("{}.new", std::process::id()));
        let written = self
            .path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&temporary, sealed(&data)))
            .and_then(|()| std::fs::rename(&temporary, &self.path));
        match written {
            Ok(()) => *kept = checksum,
            Err(_) => drop(std::fs::remove_file(&temporary)),
        }
    }
}

fn make(gpu: &Gpu, shader: &'static Shader, cache: Option<&wgpu::PipelineCache>) -> Result<Pipeline> {
    let device = &gpu.device;
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(shader.name),
        source: wgpu::ShaderSource::Wgsl(shader.source.into()),
    };
    let module = if gpu.checked {
        device.create_shader_module(descriptor)
    } else {
        // SAFETY: every shader is part of this engine, guards its own edges, bounds its loops by sizes and divides
        // by sizes that are not zero; the property tests run them in the checked mode too.
        unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    };
    let storage = shader.bindings.iter().map(|binding| wgpu::BindGroupLayoutEntry {
        binding: binding.index,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: binding.access == Access::Read },
            has_dynamic_offset: false,
            min_binding_size: wgpu::BufferSize::new(binding.stride.into()),
        },
        count: None,
    });
    let uniform = wgpu::BindGroupLayoutEntry {
        binding: 0,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: false,
            min_binding_size: wgpu::BufferSize::new(shader.params_size as u64),
        },
        count: None,
    };
    let entries: Vec<wgpu::BindGroupLayoutEntry> = std::iter::once(uniform).chain(storage).collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(shader.name),
        entries: &entries,
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(shader.name),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(shader.name),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some(shader.entry),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &[],
            // Every kernel writes the workgroup memory that it reads.
            zero_initialize_workgroup_memory: false,
        },
        cache,
    });
    if let Some(error) = pollster::block_on(scope.pop()) {
        return Err(Error::new(format!("the driver refuses the shader '{}': {error}", shader.name)));
    }
    gpu.check()?;
    Ok(Pipeline { raw, layout })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_file_reaches_the_driver() {
        let file = sealed(b"compiled");
        assert_eq!(unsealed(&file).map(|(_, data)| data), Some(&b"compiled"[..]));
        for length in 0..file.len() {
            assert_eq!(unsealed(&file[..length]), None, "cut off after {length} bytes");
        }
        for at in 0..file.len() {
            let mut other = file.clone();
            other[at] ^= 4;
            assert_eq!(unsealed(&other), None, "another byte at {at}");
        }
        assert_eq!(unsealed(&sealed(b"")).map(|(_, data)| data), Some(&b""[..]));
    }
}
