//! The time of passes on the device, by timestamp queries.

use gannet_tensor::Result;

use crate::buffer::Buffer;
use crate::gpu::Gpu;
use crate::readback::Staging;

/// Passes that one stopwatch times at most: WebGPU allows 4,096 queries, two are needed for each.
pub(crate) const PASSES: usize = 2048;

/// Times passes of one submission.
pub(crate) struct Stopwatch {
    set: wgpu::QuerySet,
    queries: u32,
    resolved: Buffer,
    staging: Staging,
}

impl Stopwatch {
    /// For so many passes. The adapter has to have timestamp queries.
    pub(crate) fn new(gpu: &Gpu, passes: u32) -> Result<Stopwatch> {
        let queries = 2 * passes;
        let bytes = u64::from(queries) * 8;
        let set = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("stopwatch"),
            ty: wgpu::QueryType::Timestamp,
            count: queries,
        });
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = gpu.buffer("timestamps", bytes, usage)?;
        Ok(Stopwatch { set, queries, resolved, staging: Staging::new(gpu, bytes)? })
    }

    /// What pass `number` has to be begun with.
    pub(crate) fn writes(&self, number: u32) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.set,
            beginning_of_pass_write_index: Some(2 * number),
            end_of_pass_write_index: Some(2 * number + 1),
        }
    }

    /// Submits the passes, waits for their end, and says what each took in seconds.
    pub(crate) fn seconds(mut self, gpu: &Gpu, mut encoder: wgpu::CommandEncoder) -> Result<Vec<f64>> {
        encoder.resolve_query_set(&self.set, 0..self.queries, &self.resolved.raw, 0);
        let words = 2 * self.queries as usize;
        self.staging.record(&mut encoder, &self.resolved, 0, words, 0);
        let submission = gpu.submit(encoder);
        self.staging.map();
        self.staging.wait(gpu, submission)?;
        let mut numbers = vec![0.0f32; words];
        self.staging.take(0, &mut numbers)?;
        self.staging.unmap();
        // Copied as numbers of 4 bytes; a time has 8.
        let ticks: Vec<u64> = numbers
            .chunks_exact(2)
            .map(|pair| u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32)
            .collect();
        let period = f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
        Ok(ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * period).collect())
    }
}
