//! What a device can do at most: what shares of peak are shares of.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use gannet_tensor::{Error, Result};

use crate::buffer::Buffer;
use crate::device::Wgpu;
use crate::readback;

/// What a device was measured to do at most.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Peak {
    /// GFLOP/s of fused multiply-adds on registers, in f32; one counts as two operations.
    pub fma_gflops: f64,
    /// GB/s of a copy between buffers that no cache holds; reads and writes both count.
    pub copy_gb_s: f64,
}

/// The threads of a workgroup, and how many of these there are: more than any device runs at once.
const THREADS: u32 = 256;
const WORKGROUPS: u32 = 4096;

/// Independent chains of vectors of four in a thread, so that none waits for its last result.
const CHAINS: usize = 8;

/// Multiply-adds of each chain in a round of the loop, so that the loop itself costs little.
const UNROLLED: usize = 8;

/// Bytes of each array that is copied, where a device binds as many.
const COPIED: u64 = 256 << 20;

/// A sample takes at least so long: handing over work and hearing of its end is little beside it.
const SAMPLE: Duration = Duration::from_millis(20);
const SAMPLES: usize = 5;

/// Every chain goes towards the fixed point of x = scale x + shift, which is 1.
const SCALE: f32 = 0.5;
const SHIFT: f32 = 0.5;

fn fused_multiply_adds(rounds: u32) -> String {
    let lines = |line: fn(usize) -> String| (0..CHAINS).map(line).collect::<String>();
    let begin = lines(|i| format!("var x{i} = vec4<f32>(f32(id.x & {i}u)); "));
    let round = lines(|i| format!("x{i} = fma(x{i}, scale, shift); ")).repeat(UNROLLED);
    let sum = (0..CHAINS).map(|i| format!("x{i}")).collect::<Vec<_>>().join(" + ");
    // Scale and shift are read, so that no compiler knows them.
    format!(
        "@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
         @group(0) @binding(1) var<storage, read_write> result: array<vec4<f32>>;
         @compute @workgroup_size({THREADS}) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
             let scale = source[0]; let shift = source[1]; {begin}
             for (var i = 0u; i < {rounds}u; i += 1u) {{ {round} }}
             result[id.x] = {sum};
         }}"
    )
}

fn copy() -> String {
    format!(
        "@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
         @group(0) @binding(1) var<storage, read_write> result: array<vec4<f32>>;
         @compute @workgroup_size({THREADS})
         fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
             for (var i = id.x; i < arrayLength(&source); i += groups.x * {THREADS}u) {{ result[i] = source[i]; }}
         }}"
    )
}

impl Wgpu {
    /// Measures what the device can do at most, in some tenths of a second: the best of several samples.
    ///
    /// # Errors
    /// When the device has no memory for it or fails, or when its numbers are wrong.
    pub fn measure_peak(&self) -> Result<Peak> {
        Ok(Peak { fma_gflops: self.fma_peak()?, copy_gb_s: self.copy_peak()? })
    }

    fn fma_peak(&self) -> Result<f64> {
        let threads = THREADS * WORKGROUPS;
        let from = self.gpu.tensor("what is multiplied and added", 32)?;
        let to = self.gpu.tensor("what multiply-adds give", threads as usize * 16)?;
        let values = [SCALE, SCALE, SCALE, SCALE, SHIFT, SHIFT, SHIFT, SHIFT];
        self.gpu.queue.write_buffer(&from.raw, 0, bytemuck::cast_slice(&values));
        // The first samples say how many rounds make one long enough; a shader that runs for long is ended by systems.
        let mut rounds = 8;
        let seconds = loop {
            let run = self.kernel(&fused_multiply_adds(rounds), &from, &to)?;
            let once = self.seconds(&run, 1)?;
            if once >= SAMPLE.as_secs_f64() || rounds >= 1 << 20 {
                break self.best(&run, 1)?;
            }
            rounds *= 2;
        };
        self.expect("multiply-adds", &to, 0, (CHAINS as f32, 1e-3))?;
        let each = 2.0 * 4.0 * (CHAINS * UNROLLED) as f64 * f64::from(rounds);
        Ok(each * f64::from(threads) / seconds / 1e9)
    }

    fn copy_peak(&self) -> Result<f64> {
        let bytes =
            COPIED.min(self.gpu.limits.max_storage_buffer_binding_size).min(self.gpu.limits.max_buffer_size);
        let bytes = bytes / 16 * 16;
        let from = self.gpu.tensor("what is copied", bytes as usize)?;
        let to = self.gpu.tensor("the copy", bytes as usize)?;
        let last = bytes - 16;
        self.gpu.queue.write_buffer(&from.raw, last, bytemuck::cast_slice(&[SCALE; 4]));
        let run = self.kernel(&copy(), &from, &to)?;
        let mut count = 1;
        while self.seconds(&run, count)? < SAMPLE.as_secs_f64() && count < 1 << 12 {
            count *= 2;
        }
        let seconds = self.best(&run, count)?;
        self.expect("copies", &to, last as usize / 4, (SCALE, 0.0))?;
        Ok(2.0 * bytes as f64 * f64::from(count) / seconds / 1e9)
    }

    /// Errors unless the numbers at an offset are this, within a bound.
    fn expect(
        &self,
        what: &str,
        buffer: &Buffer,
        offset: usize,
        (expected, bound): (f32, f32),
    ) -> Result<()> {
        let mut numbers = [0.0; 4];
        readback::read_now(&self.gpu, buffer, offset, &mut numbers)?;
        match numbers.iter().all(|x: &f32| (x - expected).abs() <= bound) {
            true => Ok(()),
            false => Err(Error::new(format!(
                "{} computes {what} wrongly: {numbers:?} where {expected} is right",
                self.gpu.info.name
            ))),
        }
    }

    fn kernel(&self, source: &str, from: &Buffer, to: &Buffer) -> Result<Kernel> {
        let scope = self.gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = self.gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("peak"),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = self.gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("peak"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let bind_group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("peak"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: from.raw.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: to.raw.as_entire_binding() },
            ],
        });
        self.gpu.tally.bind_groups.fetch_add(1, Relaxed);
        self.gpu.tally.pipelines.fetch_add(1, Relaxed);
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(Error::new(format!("{} refuses a shader: {error}", self.gpu.info.name))),
            None => Ok(Kernel { pipeline, bind_group }),
        }
    }

    /// The least time of several samples of `count` runs.
    fn best(&self, kernel: &Kernel, count: u32) -> Result<f64> {
        (0..SAMPLES).try_fold(f64::INFINITY, |best, _| Ok(best.min(self.seconds(kernel, count)?)))
    }

    /// What `count` runs one after the other take, from handing them over until they are done.
    fn seconds(&self, kernel: &Kernel, count: u32) -> Result<f64> {
        let mut encoder =
            self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("peak") });
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&kernel.pipeline);
            pass.set_bind_group(0, &kernel.bind_group, &[]);
            (0..count).for_each(|_| pass.dispatch_workgroups(WORKGROUPS, 1, 1));
        }
        let began = Instant::now();
        let submission = self.gpu.submit(encoder);
        self.gpu.wait(submission)?;
        Ok(began.elapsed().as_secs_f64())
    }
}

struct Kernel {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
}
