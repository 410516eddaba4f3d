//! The time of each dispatch, by timestamp queries.

use gannet_shaders::GATHER;
use gannet_tensor::{Error, Instruction, Result};

use crate::device::Wgpu;
use crate::executable::{Executable, Step};
use crate::stopwatch::{PASSES, Stopwatch};

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
        for steps in program.steps.chunks(PASSES) {
            let stopwatch = Stopwatch::new(gpu, steps.len() as u32)?;
            let mut encoder =
                gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("profile") });
            for (number, step) in (0..).zip(steps) {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some(step.shader.name),
                    timestamp_writes: Some(stopwatch.writes(number)),
                });
                step.record(&mut pass);
            }
            seconds.extend(stopwatch.seconds(gpu, encoder)?);
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
