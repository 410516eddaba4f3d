//! Reading numbers back from the device.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gannet_tensor::{Error, Result};

use crate::buffer::Buffer;
use crate::gpu::Gpu;

/// How often, and after which pause, a mapping is looked for once the work it waits for is done.
const PATIENCE: usize = 50_000;
const PAUSE: Duration = Duration::from_micros(200);

/// A buffer that the host can map, filled by a copy on the device.
pub(crate) struct Staging {
    buffer: Buffer,
    /// What the device has answered to the last request to map; its callback writes here.
    answer: Arc<Mutex<Option<Result<(), wgpu::BufferAsyncError>>>>,
}

impl Staging {
    pub(crate) fn new(gpu: &Gpu, bytes: u64) -> Result<Staging> {
        use wgpu::BufferUsages as U;
        let buffer = gpu.buffer("staging", bytes.max(4), U::MAP_READ | U::COPY_DST)?;
        Ok(Staging { buffer, answer: Arc::default() })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.buffer.bytes
    }

    /// Records the copy of `elements` numbers of `source` from element `offset` on, to byte `at` of this buffer.
    pub(crate) fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        source: &Buffer,
        offset: usize,
        elements: usize,
        at: u64,
    ) {
        encoder.copy_buffer_to_buffer(
            &source.raw,
            offset as u64 * 4,
            &self.buffer.raw,
            at,
            elements as u64 * 4,
        );
    }

    /// Asks for the buffer to be mapped once the copies submitted so far are done.
    pub(crate) fn map(&mut self) {
        *self.answer() = None;
        let answer = self.answer.clone();
        self.buffer.raw.map_async(wgpu::MapMode::Read, .., move |result| {
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
    }

    fn answer(&self) -> MutexGuard<'_, Option<Result<(), wgpu::BufferAsyncError>>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the buffer is mapped now.
    pub(crate) fn is_ready(&self) -> Result<bool> {
        match &*self.answer() {
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(Error::new(format!("reading from the GPU: {error}"))),
            None => Ok(false),
        }
    }

    /// Waits until the buffer is mapped, which follows the end of `submission`. The callback may run on another
    /// thread that waits on the same device, a moment after this one has been woken.
    pub(crate) fn wait(&self, gpu: &Gpu, submission: wgpu::SubmissionIndex) -> Result<()> {
        gpu.tally.waits.fetch_add(1, Relaxed);
        gpu.wait(submission)?;
        for _ in 0..PATIENCE {
            if self.is_ready()? {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
            gpu.poll()?;
        }
        Err(Error::new("reading from the GPU: the numbers did not arrive"))
    }

    /// Takes the numbers from byte `at` on out of the mapped buffer.
    pub(crate) fn take(&self, at: u64, out: &mut [f32]) -> Result<()> {
        let range = at..at + out.len() as u64 * 4;
        let view = self
            .buffer
            .raw
            .get_mapped_range(range)
            .map_err(|error| Error::new(format!("reading from the GPU: {error}")))?;
        bytemuck::cast_slice_mut::<f32, u8>(out).copy_from_slice(&view);
        Ok(())
    }

    /// Ends the mapping: the buffer may be copied to again.
    pub(crate) fn unmap(&mut self) {
        self.buffer.raw.unmap();
    }
}

/// Copies numbers of `source` to the host, waiting for everything submitted before.
pub(crate) fn read_now(gpu: &Arc<Gpu>, source: &Buffer, offset: usize, out: &mut [f32]) -> Result<()> {
    let mut staging = Staging::new(gpu, out.len() as u64 * 4)?;
    read_through(gpu, &mut staging, source, offset, out)
}

/// [`read_now`] with a staging buffer of the caller's.
pub(crate) fn read_through(
    gpu: &Arc<Gpu>,
    staging: &mut Staging,
    source: &Buffer,
    offset: usize,
    out: &mut [f32],
) -> Result<()> {
    gpu.check()?;
    if out.is_empty() {
        return Ok(());
    }
    let mut encoder =
        gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read") });
    staging.record(&mut encoder, source, offset, out.len(), 0);
    let submission = gpu.submit(encoder);
    staging.map();
    staging.wait(gpu, submission)?;
    let taken = staging.take(0, out);
    staging.unmap();
    taken
}
