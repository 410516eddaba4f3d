//! A plan made ready to run: buffers, parameters and bind groups, all made once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use gannet_dispatch::{BufferKind, Dispatches, Layout, Limits, Named, Region, Tiles};
use gannet_shaders::Shader;
use gannet_tensor::{Error, Plan, Result, View};

use crate::buffer::{Buffer, Storage};
use crate::gpu::{Gpu, QUEUED_RUNS, Tally};
use crate::pipelines::Pipelines;
use crate::readback::{Staging, read_now, read_through};

/// A program on a GPU. One run is one command buffer with one compute pass, submitted once.
pub struct Executable {
    pub(crate) gpu: Arc<Gpu>,
    pub(crate) plan: Arc<Plan>,
    /// Where the tensors of the plan lie.
    layout: Layout,
    buffers: Vec<Arc<Buffer>>,
    inputs: Vec<Named>,
    outputs: Vec<Named>,
    pub(crate) steps: Vec<Step>,
    /// The shared buffer of small inputs, what it should hold, and whether that has to be written before a run.
    small: Option<usize>,
    small_values: Vec<f32>,
    small_changed: bool,
    /// One staging buffer per output that has been read.
    staging: Vec<Option<Staging>>,
    requested: Vec<usize>,
    pending: VecDeque<Pending>,
    idle: Vec<Pending>,
}

/// A dispatch with everything it needs.
pub(crate) struct Step {
    pub(crate) shader: &'static Shader,
    pub(crate) bind_group: wgpu::BindGroup,
    pub(crate) workgroups: [u32; 3],
    /// The instructions that it works for; it is called after the first.
    pub(crate) instructions: Vec<usize>,
    pub(crate) pipeline: wgpu::ComputePipeline,
}

impl Step {
    /// Records the dispatch with its pipeline and its bind group.
    pub(crate) fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        let [x, y, z] = self.workgroups;
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Outputs of one run on their way to the host.
struct Pending {
    /// Which are not collected yet, and at which byte of the staging buffer each lies.
    outputs: Vec<(usize, u64)>,
    staging: Staging,
    /// The run; none until it is submitted.
    submission: Option<wgpu::SubmissionIndex>,
}

impl Executable {
    pub(crate) fn new(
        gpu: &Arc<Gpu>,
        pipelines: &Pipelines,
        tiles: &Tiles,
        plan: Arc<Plan>,
        variables: Vec<Storage>,
    ) -> Result<Executable> {
        let (layout, limits) = (Layout::new(&plan), limits_of(gpu));
        let program = Dispatches::with_tiles(&plan, &layout, limits, tiles)?;
        Executable::made(gpu, pipelines, plan, variables, (layout, program))
    }

    /// An executable whose every dispatch belongs to one instruction, to be run one by one.
    pub(crate) fn one_by_one(
        gpu: &Arc<Gpu>,
        pipelines: &Pipelines,
        tiles: &Tiles,
        plan: Arc<Plan>,
        variables: Vec<Storage>,
    ) -> Result<Executable> {
        let (layout, limits) = (Layout::new(&plan), limits_of(gpu));
        let program = Dispatches::one_by_one(&plan, &layout, limits, tiles)?;
        Executable::made(gpu, pipelines, plan, variables, (layout, program))
    }

    fn made(
        gpu: &Arc<Gpu>,
        pipelines: &Pipelines,
        plan: Arc<Plan>,
        variables: Vec<Storage>,
        (layout, program): (Layout, Dispatches),
    ) -> Result<Executable> {
        let buffers = allocate(gpu, &program, &variables)?;
        let steps = bind(gpu, pipelines, &plan, &program, &buffers)?;
        let small = program.buffers.iter().position(|buffer| buffer.kind == BufferKind::SmallInputs);
        let small_values = vec![0.0; small.map_or(0, |number| program.buffers[number].bytes / 4)];
        let Dispatches { inputs, outputs, .. } = program;
        Ok(Executable {
            gpu: gpu.clone(),
            staging: outputs.iter().map(|_| None).collect(),
            plan,
            layout,
            buffers,
            inputs,
            outputs,
            steps,
            small,
            small_values,
            small_changed: false,
            requested: Vec::new(),
            pending: VecDeque::new(),
            idle: Vec::new(),
        })
    }

    /// Dispatches of one run.
    pub fn dispatches(&self) -> usize {
        self.steps.len()
    }

    /// Submissions of one run.
    pub fn submissions(&self) -> usize {
        1
    }

    /// The dispatches of one run, one per line: shader, workgroups, operation.
    pub fn explain(&self) -> String {
        let line = |step: &Step| {
            let instruction = &self.plan.instructions()[step.instructions[0]];
            let [x, y, z] = step.workgroups;
            format!(
                "{:<28} {:<16} {} {}\n",
                step.shader.name,
                format!("{x}x{y}x{z}"),
                instruction.op.name(),
                instruction.scope
            )
        };
        self.steps.iter().map(line).collect()
    }

    pub(crate) fn write_input(&mut self, index: usize, data: &[f32]) -> Result<()> {
        self.gpu.check()?;
        let began = Instant::now();
        let Region { buffer, offset, .. } = self.inputs[index].region;
        if self.small == Some(buffer) {
            self.small_values[offset / 4..][..data.len()].copy_from_slice(data);
            self.small_changed = true;
            return Ok(());
        }
        let bytes = bytemuck::cast_slice(data);
        self.gpu.queue.write_buffer(&self.buffers[buffer].raw, offset as u64, bytes);
        Tally::add(&self.gpu.tally.writing, began);
        self.gpu.check()
    }

    pub(crate) fn run(&mut self) -> Result<()> {
        self.gpu.check()?;
        self.flush();
        let began = Instant::now();
        let gpu = self.gpu.clone();
        let mut encoder =
            gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("run") });
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some("run"),
                timestamp_writes: None,
            });
            for step in &self.steps {
                step.record(&mut pass);
            }
        }
        let reading = self.record_requests(&mut encoder)?;
        let submission = gpu.submit_run(encoder, began);
        if let Some(mut reading) = reading {
            reading.staging.map();
            reading.submission = Some(submission.clone());
            self.pending.push_back(reading);
        }
        gpu.tally.dispatches.fetch_add(self.steps.len() as u64, Relaxed);
        gpu.enqueue(submission)?;
        gpu.check()
    }

    /// Runs the dispatches of one instruction, in a submission of their own.
    pub(crate) fn run_instruction(&mut self, number: usize) -> Result<()> {
        self.gpu.check()?;
        let mut encoder = self
            .gpu
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("instruction") });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("instruction"),
            timestamp_writes: None,
        });
        for step in self.steps.iter().filter(|step| step.instructions.contains(&number)) {
            step.record(&mut pass);
        }
        drop(pass);
        self.gpu.submit(encoder);
        self.gpu.check()
    }

    /// The numbers that lie at `view` now.
    pub(crate) fn read_view(&self, view: View) -> Result<Vec<f32>> {
        let Region { buffer, offset, .. } = self.layout.region(view);
        let mut numbers = vec![0.0; view.shape.len()];
        read_now(&self.gpu, &self.buffers[buffer], offset / 4, &mut numbers)?;
        Ok(numbers)
    }

    /// Writes the small inputs if they have changed.
    pub(crate) fn flush(&mut self) {
        if let (true, Some(small)) = (self.small_changed, self.small) {
            let began = Instant::now();
            let values = bytemuck::cast_slice(&self.small_values);
            self.gpu.queue.write_buffer(&self.buffers[small].raw, 0, values);
            self.small_changed = false;
            Tally::add(&self.gpu.tally.writing, began);
        }
    }

    pub(crate) fn read_output(&mut self, index: usize, out: &mut [f32]) -> Result<()> {
        let (buffer, offset) = self.output(index);
        let staging = &mut self.staging[index];
        if staging.is_none() {
            *staging = Some(Staging::new(&self.gpu, out.len() as u64 * 4)?);
        }
        let Some(staging) = staging else { return Ok(()) };
        let read = read_through(&self.gpu, staging, &buffer, offset, out);
        self.gpu.queue_is_done();
        read
    }

    /// Asks that the next run keeps the value of output `index` for [`collect`](Executable::collect), within its
    /// one submission and without waiting.
    pub(crate) fn request(&mut self, index: usize) {
        if !self.requested.contains(&index) {
            self.requested.push(index);
        }
    }

    /// Copies the oldest value of output `index` that was requested and not collected yet to `out`; false when there
    /// is none, or it has not arrived. With `wait` it is waited for.
    pub(crate) fn collect(&mut self, index: usize, out: &mut [f32], wait: bool) -> Result<bool> {
        self.gpu.check()?;
        let holds = |pending: &Pending| pending.outputs.iter().any(|(output, _)| *output == index);
        let Some(position) = self.pending.iter().position(holds) else { return Ok(false) };
        let pending = &mut self.pending[position];
        if !pending.staging.is_ready()? {
            self.gpu.poll()?;
        }
        if !pending.staging.is_ready()? {
            match &pending.submission {
                Some(submission) if wait => pending.staging.wait(&self.gpu, submission.clone())?,
                _ => return Ok(false),
            }
        }
        if let Some(entry) = pending.outputs.iter().position(|(output, _)| *output == index) {
            let (_, at) = pending.outputs.swap_remove(entry);
            pending.staging.take(at, out)?;
        }
        if pending.outputs.is_empty() {
            pending.staging.unmap();
            self.idle.extend(self.pending.remove(position));
        }
        Ok(true)
    }

    fn record_requests(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<Option<Pending>> {
        if self.requested.is_empty() {
            return Ok(None);
        }
        let bytes = self.requested.iter().map(|&i| staged(self.plan.output_view(i).shape.len())).sum();
        let fits = |idle: &Pending| idle.staging.bytes() >= bytes;
        if !self.idle.iter().chain(&self.pending).any(fits) {
            // As many as are ever under way where values are collected as they come: later runs allocate nothing.
            for _ in 0..QUEUED_RUNS + 2 {
                let staging = Staging::new(&self.gpu, bytes)?;
                self.idle.push(Pending { outputs: Vec::new(), staging, submission: None });
            }
        }
        let mut pending = match self.idle.iter().position(fits) {
            Some(position) => self.idle.swap_remove(position),
            None => {
                Pending { outputs: Vec::new(), staging: Staging::new(&self.gpu, bytes)?, submission: None }
            }
        };
        let mut at = 0;
        for &index in &self.requested {
            let (buffer, offset) = self.output(index);
            let elements = self.plan.output_view(index).shape.len();
            pending.staging.record(encoder, &buffer, offset, elements, at);
            pending.outputs.push((index, at));
            at += staged(elements);
        }
        self.requested.clear();
        Ok(Some(pending))
    }

    /// Where output `index` lies: a buffer, and the first element in it.
    fn output(&self, index: usize) -> (Arc<Buffer>, usize) {
        let Region { buffer, offset, .. } = self.outputs[index].region;
        (self.buffers[buffer].clone(), offset / 4)
    }
}

/// What the offsets of a device's bindings keep to.
fn limits_of(gpu: &Gpu) -> Limits {
    let alignment = |bytes: u32| (bytes as usize).max(4);
    Limits {
        storage_alignment: alignment(gpu.limits.min_storage_buffer_offset_alignment),
        uniform_alignment: alignment(gpu.limits.min_uniform_buffer_offset_alignment),
    }
}

/// Bytes of a staging buffer that numbers take, one output after another: mapped ranges start at multiples of 8.
fn staged(elements: usize) -> u64 {
    (elements as u64 * 4).next_multiple_of(8)
}

/// The buffers of a program, with what is written to them once; `variables` in the program's order.
fn allocate(gpu: &Gpu, program: &Dispatches, variables: &[Storage]) -> Result<Vec<Arc<Buffer>>> {
    let mut buffers = Vec::new();
    for (number, buffer) in program.buffers.iter().enumerate() {
        buffers.push(match buffer.kind {
            BufferKind::Variable => {
                let position = program.variables.iter().position(|known| known.region.buffer == number);
                let storage = position.and_then(|position| variables.get(position)).ok_or_else(|| {
                    Error::new(format!("the plan does not list its variable '{}'", buffer.label))
                })?;
                storage.0.clone()
            }
            _ => Arc::new(gpu.tensor(&buffer.label, buffer.bytes)?),
        });
    }
    for contents in &program.contents {
        let Region { buffer, offset, bytes } = contents.region;
        let values = match contents.values[..] {
            [value] => vec![value; bytes / 4],
            ref values => values.to_vec(),
        };
        let values = bytemuck::cast_slice(&values);
        gpu.queue.write_buffer(&buffers[buffer].raw, offset as u64, values);
    }
    Ok(buffers)
}

/// `bytes` of a buffer from `offset` on, as an entry of a bind group.
pub(crate) fn bound(binding: u32, buffer: &Buffer, offset: usize, bytes: usize) -> wgpu::BindGroupEntry<'_> {
    wgpu::BindGroupEntry {
        binding,
        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &buffer.raw,
            offset: offset as u64,
            size: wgpu::BufferSize::new(bytes as u64),
        }),
    }
}

/// Makes the pipelines, the parameter buffer and the bind groups.
fn bind(
    gpu: &Gpu,
    pipelines: &Pipelines,
    plan: &Plan,
    program: &Dispatches,
    buffers: &[Arc<Buffer>],
) -> Result<Vec<Step>> {
    let shader = |name: &str| {
        gannet_shaders::find(name).ok_or_else(|| Error::new(format!("there is no shader '{name}'")))
    };
    let shaders = program.dispatches.iter().map(|dispatch| shader(&dispatch.shader));
    let shaders = shaders.collect::<Result<Vec<&'static Shader>>>()?;
    pipelines.prepare(gpu, &shaders)?;
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let uniform = gpu.buffer("parameters", program.params.len() as u64, usage)?;
    gpu.queue.write_buffer(&uniform.raw, 0, &program.params);
    let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let mut steps = Vec::new();
    for (dispatch, shader) in program.dispatches.iter().zip(shaders) {
        let pipeline = pipelines.get(shader)?;
        let storage = shader.bindings.iter().zip(&dispatch.bindings).map(|(binding, region)| {
            bound(binding.index, &buffers[region.buffer], region.offset, region.bytes)
        });
        let params = bound(0, &uniform, dispatch.params, shader.params_size);
        let entries: Vec<wgpu::BindGroupEntry<'_>> = std::iter::once(params).chain(storage).collect();
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(shader.name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        gpu.tally.bind_groups.fetch_add(1, Relaxed);
        steps.push(Step {
            shader,
            bind_group,
            workgroups: dispatch.workgroups,
            instructions: dispatch.instructions.clone(),
            pipeline: pipeline.raw.clone(),
        });
    }
    if let Some(error) = pollster::block_on(scope.pop()) {
        let operations: Vec<&str> = plan.instructions().iter().map(|i| i.op.name()).collect();
        return Err(Error::new(format!("binding the buffers of {}: {error}", operations.join(", "))));
    }
    gpu.check()?;
    Ok(steps)
}
