//! A plan made ready to run: buffers, parameters and bind groups, all made once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use gannet_shaders::{Launch, Shader};
use gannet_tensor::{BufferKind, Error, Instruction, Plan, Result, Shape, View};

use crate::buffer::{Buffer, Place, Storage};
use crate::drafts::{Draft, Drafts, Memory};
use crate::gpu::{Gpu, QUEUED_RUNS};
use crate::pipelines::Pipelines;
use crate::readback::{Staging, read_now, read_through};

/// Inputs and constants up to this many elements share one buffer; each starts at a multiple of it, which suits
/// WebGPU's default alignment of 256 bytes.
const SMALL: usize = 64;

/// A program on a GPU. One run is one command buffer with one compute pass, submitted once.
pub struct Executable {
    pub(crate) gpu: Arc<Gpu>,
    pub(crate) plan: Arc<Plan>,
    /// Where each buffer of the plan lies.
    places: Vec<Place>,
    pub(crate) steps: Vec<Step>,
    /// The shared buffer of small inputs, what it should hold, and whether that has to be written before a run.
    small: Option<Arc<Buffer>>,
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
        plan: Arc<Plan>,
        variables: Vec<Storage>,
    ) -> Result<Executable> {
        Executable::made(gpu, pipelines, plan, variables, true)
    }

    /// An executable whose every dispatch belongs to one instruction, to be run one by one.
    pub(crate) fn one_by_one(
        gpu: &Arc<Gpu>,
        pipelines: &Pipelines,
        plan: Arc<Plan>,
        variables: Vec<Storage>,
    ) -> Result<Executable> {
        Executable::made(gpu, pipelines, plan, variables, false)
    }

    fn made(
        gpu: &Arc<Gpu>,
        pipelines: &Pipelines,
        plan: Arc<Plan>,
        variables: Vec<Storage>,
        joined: bool,
    ) -> Result<Executable> {
        let (places, small) = place_buffers(gpu, &plan, &variables)?;
        let alignment = (gpu.limits.min_storage_buffer_offset_alignment as usize / 4).max(1);
        let launches = launches(&plan)?;
        let Drafts { drafts, scratch, kept, .. } =
            Drafts::new(&plan, &places, alignment, joined).made(launches);
        let shaders: Vec<&'static Shader> = drafts.iter().map(|draft| draft.shader).collect();
        pipelines.prepare(gpu, &shaders)?;
        let scratch = scratch
            .iter()
            .enumerate()
            .map(|(slot, &elements)| gpu.tensor(&format!("temporary {slot} of an operation"), elements))
            .collect::<Result<Vec<Buffer>>>()?;
        let kept = kept
            .iter()
            .map(|&elements| gpu.tensor("a result on its way", elements))
            .collect::<Result<Vec<Buffer>>>()?;
        let steps = bind(gpu, pipelines, &plan, &places, [&scratch, &kept], drafts)?;
        let small_values = vec![0.0; small.as_ref().map_or(0, |buffer| buffer.bytes as usize / 4)];
        Ok(Executable {
            gpu: gpu.clone(),
            staging: plan.outputs().map(|_| None).collect(),
            plan,
            places,
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
        let view = self.plan.input_view(index);
        let place = &self.places[view.buffer];
        let at = place.base + view.offset;
        if self.small.as_ref().is_some_and(|small| Arc::ptr_eq(small, &place.buffer)) {
            self.small_values[at..at + data.len()].copy_from_slice(data);
            self.small_changed = true;
            return Ok(());
        }
        self.gpu.queue.write_buffer(&place.buffer.raw, at as u64 * 4, bytemuck::cast_slice(data));
        self.gpu.check()
    }

    pub(crate) fn run(&mut self) -> Result<()> {
        self.gpu.check()?;
        self.flush();
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
        let submission = gpu.submit(encoder);
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
        let place = &self.places[view.buffer];
        let mut numbers = vec![0.0; view.shape.len()];
        read_now(&self.gpu, &place.buffer, place.base + view.offset, &mut numbers)?;
        Ok(numbers)
    }

    /// Writes the small inputs if they have changed.
    pub(crate) fn flush(&mut self) {
        if let (true, Some(small)) = (self.small_changed, &self.small) {
            self.gpu.queue.write_buffer(&small.raw, 0, bytemuck::cast_slice(&self.small_values));
            self.small_changed = false;
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

    fn output(&self, index: usize) -> (Arc<Buffer>, usize) {
        let view = self.plan.output_view(index);
        let place = &self.places[view.buffer];
        (place.buffer.clone(), place.base + view.offset)
    }
}

/// Bytes of a staging buffer that numbers take, one output after another: mapped ranges start at multiples of 8.
fn staged(elements: usize) -> u64 {
    (elements as u64 * 4).next_multiple_of(8)
}

/// The dispatches of each instruction of `plan`, as data. Nothing is opened or run.
///
/// # Errors
/// When an operation has no shader, or reads a tensor without elements.
pub fn launches(plan: &Plan) -> Result<Vec<Launch>> {
    let launch = |instruction: &Instruction| {
        let shapes: Vec<Shape> = instruction.inputs.iter().map(|view| view.shape).collect();
        let (name, output) = (instruction.op.name(), instruction.output);
        if output.shape.len() == 0 {
            return Ok(Launch::default());
        }
        if let Some(empty) = shapes.iter().find(|shape| shape.len() == 0) {
            return Err(Error::new(format!("{name}: an input of shape {empty} has no elements to read")));
        }
        let in_place =
            instruction.inputs.iter().any(|x| x.buffer == output.buffer && x.offset == output.offset);
        let launch = instruction.op.launch(&shapes, output.shape, in_place);
        launch.ok_or_else(|| Error::new(format!("the operation '{name}' has no shader")))
    };
    plan.instructions().iter().map(launch).collect()
}

/// The buffers of the plan, and the buffer that small inputs share.
fn place_buffers(gpu: &Gpu, plan: &Plan, variables: &[Storage]) -> Result<(Vec<Place>, Option<Arc<Buffer>>)> {
    let shared = |wanted: fn(&BufferKind) -> bool, label: &str| {
        let small = plan.buffers().iter().filter(|spec| wanted(&spec.kind) && spec.elements <= SMALL).count();
        (small > 0).then(|| gpu.tensor(label, small * SMALL).map(Arc::new)).transpose()
    };
    let inputs = shared(|kind| matches!(kind, BufferKind::Input(_)), "small inputs")?;
    let constants =
        shared(|kind| matches!(kind, BufferKind::Fill(_) | BufferKind::Constant(_)), "small constants")?;
    let (mut next_input, mut next_constant) = (0, 0);
    let mut places: Vec<Place> = Vec::new();
    for (number, spec) in plan.buffers().iter().enumerate() {
        let own = |label: &str| {
            gpu.tensor(label, spec.elements).map(|buffer| Place { buffer: Arc::new(buffer), base: 0 })
        };
        let share = |buffer: &Arc<Buffer>, next: &mut usize| {
            *next += SMALL;
            Place { buffer: buffer.clone(), base: *next - SMALL }
        };
        let place = match (&spec.kind, &inputs, &constants) {
            (BufferKind::Variable(name), ..) => {
                let position = (0..variables.len()).find(|&k| plan.variable_view(k).buffer == number);
                let storage = position
                    .map(|k| variables[k].clone())
                    .ok_or_else(|| Error::new(format!("the plan does not list its variable '{name}'")))?;
                Place { buffer: storage.0, base: 0 }
            }
            (BufferKind::Input(_), Some(shared), _) if spec.elements <= SMALL => {
                share(shared, &mut next_input)
            }
            (BufferKind::Input(name), ..) => own(name)?,
            (BufferKind::Fill(_) | BufferKind::Constant(_), _, Some(shared)) if spec.elements <= SMALL => {
                share(shared, &mut next_constant)
            }
            (BufferKind::Fill(value), ..) => own(&format!("{value} everywhere"))?,
            (BufferKind::Constant(_), ..) => own("constant")?,
            (BufferKind::Temporary, ..) => own(&temporary_name(plan, number))?,
        };
        let values: Option<Vec<f32>> = match &spec.kind {
            BufferKind::Fill(value) => Some(vec![*value as f32; spec.elements]),
            BufferKind::Constant(values) => Some(values.iter().map(|&value| value as f32).collect()),
            _ => None,
        };
        if let Some(values) = values {
            gpu.queue.write_buffer(&place.buffer.raw, place.base as u64 * 4, bytemuck::cast_slice(&values));
        }
        places.push(place);
    }
    Ok((places, inputs))
}

/// The first value that lies in a temporary buffer, in words.
fn temporary_name(plan: &Plan, buffer: usize) -> String {
    match plan.instructions().iter().find(|instruction| instruction.output.buffer == buffer) {
        Some(instruction) => {
            format!("{} {} of {}", instruction.op.name(), instruction.output.shape, instruction.scope)
        }
        None => "temporary".into(),
    }
}

/// Makes the parameter buffer and the bind groups.
fn bind(
    gpu: &Gpu,
    pipelines: &Pipelines,
    plan: &Plan,
    places: &[Place],
    [scratch, kept]: [&[Buffer]; 2],
    drafts: Vec<Draft>,
) -> Result<Vec<Step>> {
    let alignment = gpu.limits.min_uniform_buffer_offset_alignment as usize;
    let mut params: Vec<u8> = Vec::new();
    let mut offsets = Vec::new();
    for draft in &drafts {
        params.resize(params.len().next_multiple_of(alignment), 0);
        offsets.push(params.len() as u64);
        params.extend(&draft.params);
    }
    params.resize(params.len().next_multiple_of(16).max(16), 0);
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let uniform = gpu.buffer("parameters", params.len() as u64, usage)?;
    gpu.queue.write_buffer(&uniform.raw, 0, &params);
    let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let mut steps = Vec::new();
    for (draft, offset) in drafts.into_iter().zip(offsets) {
        let pipeline = pipelines.get(draft.shader)?;
        let storage = draft.shader.bindings.iter().zip(&draft.regions).map(|(binding, region)| {
            let (buffer, base) = match region.memory {
                Memory::Plan(buffer) => (&places[buffer].buffer.raw, region.offset),
                Memory::Scratch(slot) => (&scratch[slot].raw, region.offset),
                Memory::Kept(slot) => (&kept[slot].raw, region.offset),
            };
            let size = wgpu::BufferSize::new((region.elements as u64 * 4).max(binding.stride.into()));
            let binding_of = wgpu::BufferBinding { buffer, offset: base as u64 * 4, size };
            wgpu::BindGroupEntry {
                binding: binding.index,
                resource: wgpu::BindingResource::Buffer(binding_of),
            }
        });
        let size = wgpu::BufferSize::new(draft.shader.params_size as u64);
        let binding_of = wgpu::BufferBinding { buffer: &uniform.raw, offset, size };
        let params = wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(binding_of) };
        let entries: Vec<wgpu::BindGroupEntry<'_>> = std::iter::once(params).chain(storage).collect();
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(draft.shader.name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        gpu.tally.bind_groups.fetch_add(1, Relaxed);
        steps.push(Step {
            shader: draft.shader,
            bind_group,
            workgroups: draft.workgroups,
            instructions: draft.instructions,
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
