//! Buffers that are counted, refused with a reason, and freed when dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use gannet_tensor::{Error, Result};

use crate::gpu::{Gpu, Tally};

/// The memory of a tensor that lives across runs. Clones are the same memory.
#[derive(Clone)]
pub struct Storage(pub(crate) Arc<Buffer>);

/// A buffer on the device.
pub(crate) struct Buffer {
    pub(crate) raw: wgpu::Buffer,
    pub(crate) bytes: u64,
    tally: Arc<Tally>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.tally.buffers.fetch_sub(1, Relaxed);
        self.tally.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// A size in the unit that suits it.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

impl Gpu {
    /// A zeroed buffer for the numbers of a tensor; `label` names the tensor in errors.
    pub(crate) fn tensor(&self, label: &str, bytes: usize) -> Result<Buffer> {
        use wgpu::BufferUsages as U;
        let bytes = bytes as u64;
        let limit = self.limits.max_storage_buffer_binding_size;
        if bytes > limit {
            return Err(Error::new(format!(
                "the tensor '{label}' takes {}; {} binds at most {} to a shader: a smaller batch or model fits",
                size(bytes),
                self.info.name,
                size(limit)
            )));
        }
        self.buffer(label, bytes, U::STORAGE | U::COPY_SRC | U::COPY_DST)
    }

    /// A zeroed buffer.
    pub(crate) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Buffer> {
        self.check()?;
        let limit = self.limits.max_buffer_size;
        if bytes > limit {
            return Err(Error::new(format!(
                "the buffer '{label}' takes {}; {} allows at most {}",
                size(bytes),
                self.info.name,
                size(limit)
            )));
        }
        let out_of_memory = || {
            Error::new(format!(
                "out of memory on {}: no room for {} of '{label}' beside the {} in use; a smaller batch needs less",
                self.info.name,
                size(bytes),
                size(self.tally.bytes.load(Relaxed))
            ))
        };
        if self.tally.bytes.load(Relaxed) + bytes > self.tally.budget.load(Relaxed) {
            return Err(out_of_memory());
        }
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage,
            mapped_at_creation: false,
        });
        let invalid = pollster::block_on(validation.pop());
        if pollster::block_on(memory.pop()).is_some() {
            return Err(out_of_memory());
        }
        self.check()?;
        if let Some(error) = invalid {
            return Err(Error::new(format!("the buffer '{label}' of {}: {error}", size(bytes))));
        }
        self.tally.buffers.fetch_add(1, Relaxed);
        self.tally.bytes.fetch_add(bytes, Relaxed);
        Ok(Buffer { raw, bytes, tally: self.tally.clone() })
    }
}
