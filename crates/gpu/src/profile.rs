//! The time of each dispatch, by timestamp queries.

use gannet_shaders::GATHER;
use gannet_tensor::{Error, Instruction, Result};

use crate::device::Wgpu;
use crate::executable::{Executable, Step};
use crate::readback::Staging;

/// Dispatches that one query set holds: WebGPU allows 4,096 queries, two are needed for each.
const PER_QUERY_SET: usize = 2048;

/// What one dispatch took.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DispatchTime {
    /// The shader.
    pub shader: &'static str,
    /// Position in the plan of the instruction that it works for, of the first if there are several.
    pub instruction: usize,
    /// Name of the operation.
    pub operation: &'static str,
    /// The layer it was traced in.
    pub scope: String,
    /// Time on the device in seconds.
    pub seconds: f64,
    /// Floating-point operations of the instructions whose main dispatch this is: the first that does more than copy
    /// or add parts.
    pub flops: u64,
    /// Bytes that those instructions read and write.
    pub bytes: u64,
}

impl Wgpu {
    /// Runs `program` once with every dispatch in a pass of its own, and returns what each took on the device.
    ///
    /// # Errors
    /// When the adapter has no timestamp queries, and as a run does.
    pub fn profile(&self, program: &mut Executable) -> Result<Vec<DispatchTime>> {
        let gpu = &self.gpu;
        gpu.check()?;
        if !self.has_timestamps() {
            return Err(Error::new(format!("{} has no timestamp queries to profile with", gpu.info.name)));
        }
        program.flush();
        let mut seconds = Vec::new();
        for steps in program.steps.chunks(PER_QUERY_SET) {
            let count = 2 * steps.len() as u32;
            let bytes = u64::from(count) * 8;
            let set = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("profile"),
                ty: wgpu::QueryType::Timestamp,
                count,
            });
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            let resolved = gpu.buffer("timestamps", bytes, usage)?;
            let mut staging = Staging::new(gpu, bytes)?;
            let mut encoder =
                gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("profile") });
            for (number, step) in (0..).zip(steps) {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some(step.shader.name),
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &set,
                        beginning_of_pass_write_index: Some(2 * number),
                        end_of_pass_write_index: Some(2 * number + 1),
                    }),
                });
                step.record(&mut pass);
            }
            encoder.resolve_query_set(&set, 0..count, &resolved.raw, 0);
            staging.record(&mut encoder, &resolved, 0, 2 * count as usize, 0);
            let submission = gpu.submit(encoder);
            staging.map();
            staging.wait(gpu, submission)?;
            let mut words = vec![0.0f32; 2 * count as usize];
            staging.take(0, &mut words)?;
            staging.unmap();
            let ticks: Vec<u64> = words
                .chunks_exact(2)
                .map(|pair| u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32)
                .collect();
            let period = f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
            seconds.extend(ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * period));
        }
        let instructions = program.plan.instructions();
        // The work of an instruction is that of the first of its dispatches that does more than add parts.
        let mut works: Vec<Vec<&Instruction>> = vec![Vec::new(); program.steps.len()];
        for (number, instruction) in instructions.iter().enumerate() {
            let mine = |step: &Step| step.instructions.contains(&number);
            let computes = |step: &Step| mine(step) && step.shader.id != GATHER.shader.id;
            let steps = &program.steps;
            if let Some(i) = steps.iter().position(computes).or_else(|| steps.iter().position(mine)) {
                works[i].push(instruction);
            }
        }
        let times = program.steps.iter().zip(seconds).zip(works).map(|((step, seconds), works)| {
            let first = step.instructions[0];
            DispatchTime {
                shader: step.shader.name,
                instruction: first,
                operation: instructions[first].op.name(),
                scope: instructions[first].scope.to_string(),
                seconds,
                flops: works.iter().map(|instruction| instruction.flops()).sum(),
                bytes: works.iter().map(|instruction| instruction.traffic() as u64 * 4).sum(),
            }
        });
        Ok(times.collect())
    }
}
