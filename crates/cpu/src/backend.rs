//! The backend: plans become lists of prepared kernels over buffers that never move.

use crate::aligned::AlignedBuffer;
use crate::context::{Context, Scratch, Workspace};
use crate::isa::Isa;
use crate::kernel::{Kernel, Tensors};
use crate::kernels::{self, Taken, Way};
use crate::peak::Chains;
use crate::threads::Threads;
use gannet_tensor::{Backend, BufferKind, Error, Instruction, Operation, Plan, Result, Shape, View, ops};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The CPU: an instruction set and a fixed number of threads. Clones share both.
///
/// Programs of one `Cpu` run one at a time. A program gives the same bits with any number of threads.
#[derive(Clone)]
pub struct Cpu {
    device: Arc<Device>,
}

struct Device {
    isa: Isa,
    /// The way to be taken for convolutions wherever it can be, if not the one that is worth it.
    way: Option<Way>,
    threads: Threads,
    /// Held while a program runs or a variable is read or written: variables are shared by programs.
    scratch: Mutex<Scratch>,
}

impl Cpu {
    /// All cores, and the best instruction set of this CPU or the one that `GANNET_ISA` names. Errors when
    /// `GANNET_ISA` names none that this CPU has, or when threads cannot be started.
    pub fn new() -> Result<Cpu> {
        Cpu::with_threads(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// As [`Cpu::new`], with a chosen number of threads, at least 1, the calling thread among them.
    pub fn with_threads(threads: usize) -> Result<Cpu> {
        Cpu::with(Isa::detect().map_err(|error| Error::new(error.to_string()))?, threads)
    }

    /// A chosen instruction set and number of threads.
    pub fn with(isa: Isa, threads: usize) -> Result<Cpu> {
        Cpu::open(isa, threads, None)
    }

    /// Takes a way for convolutions wherever it can be taken, whether it is worth it or not: to test and to measure it.
    pub fn by_way(isa: Isa, threads: usize, way: Way) -> Result<Cpu> {
        Cpu::open(isa, threads, Some(way))
    }

    fn open(isa: Isa, threads: usize, way: Option<Way>) -> Result<Cpu> {
        if threads == 0 {
            return Err(Error::new("the number of threads must be at least 1, got 0"));
        }
        let threads = Threads::new(threads)
            .map_err(|error| Error::new(format!("cannot start {threads} threads: {error}")))?;
        let scratch = Mutex::new(Scratch::new(Workspace::default(), threads.count())?);
        Ok(Cpu { device: Arc::new(Device { isa, way, threads, scratch }) })
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.device.isa
    }

    /// The number of threads in use.
    pub fn threads(&self) -> usize {
        self.device.threads.count()
    }

    /// The ways that an instruction can be computed by, each whether it is worth it or not, and the first of those that are:
    /// the one that is taken. None for what is no convolution.
    pub fn ways(&self, instruction: &Instruction) -> Option<(Vec<Way>, Way)> {
        if !kernels::is_convolution(&*instruction.op) {
            return None;
        }
        let can = |taken| move |way: &Way| kernels::by(*way, taken, self.isa(), instruction, 0).is_some();
        let possible = Way::ALL.into_iter().filter(can(Taken::IfPossible)).collect();
        Some((possible, Way::ALL.into_iter().find(can(Taken::IfWorthIt))?))
    }

    /// The measured peak of all threads together, in GFLOP/s: multiply-adds on registers, best of several
    /// runs of some milliseconds. What shares of peak are shares of.
    pub fn measure_fma_peak(&self) -> f64 {
        const ROUNDS: usize = 100_000;
        let Device { isa, threads, .. } = &*self.device;
        let run = || {
            let start = Instant::now();
            let done = Mutex::new(0_u64);
            threads.run(threads.count() * 4, &|_, _| {
                // SAFETY: there is nothing to rely on.
                let (operations, total) = unsafe { isa.run(Chains { rounds: ROUNDS }) };
                std::hint::black_box(total);
                *lock(&done) += operations;
            });
            *lock(&done) as f64 / start.elapsed().as_secs_f64() / 1e9
        };
        (0..20).map(|_| run()).fold(0.0, f64::max)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The memory of a variable, shared by the programs that use it.
#[derive(Clone)]
pub struct Storage(Arc<AlignedBuffer>);

/// A plan with its kernels and buffers.
pub struct Executable {
    plan: Arc<Plan>,
    steps: Vec<Step>,
    /// One per buffer of the plan. They are alive as long as the addresses in `steps`.
    buffers: Vec<Arc<AlignedBuffer>>,
}

/// A kernel with the addresses of its tensors.
struct Step {
    kernel: Box<dyn Kernel>,
    instruction: usize,
    inputs: Vec<*const f32>,
    output: *mut f32,
    stats: *mut f32,
}

// SAFETY: the addresses point into buffers that the executable shares ownership of.
unsafe impl Send for Step {}

/// The time that one instruction of a program took.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Timing {
    /// Position in [`Plan::instructions`].
    pub instruction: usize,
    /// Seconds.
    pub seconds: f64,
}

impl Executable {
    /// Bytes of all buffers of this program, variables included.
    pub fn bytes(&self) -> usize {
        self.buffers.iter().map(|buffer| size_of_val::<[f32]>(buffer)).sum()
    }

    /// The instructions, by their positions in [`Plan::instructions`], that have no kernel of their own and run by
    /// their reference loops, on one thread.
    pub fn by_reference(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().filter(|step| step.kernel.is_reference()).map(|step| step.instruction)
    }

    fn slice(&self, view: View) -> *mut f32 {
        self.buffers[view.buffer].as_ptr().wrapping_add(view.offset)
    }
}

impl Cpu {
    fn run_steps(&self, program: &Executable, mut after: impl FnMut(&Step)) {
        let Device { isa, threads, scratch, .. } = &*self.device;
        let mut scratch = lock(scratch);
        let context = Context::new(*isa, threads, &mut scratch);
        for step in &program.steps {
            let tensors = Tensors { inputs: &step.inputs, output: step.output, stats: step.stats };
            // SAFETY: the buffers live, they have the sizes that the plan asks for, the plan keeps outputs
            // apart from inputs, and the scratch memory was grown to this program's needs.
            unsafe { step.kernel.run(&context, tensors) };
            after(step);
        }
    }

    /// Runs a program once and times each of its instructions. An instruction whose work another one
    /// does (batch statistics taken in a convolution's epilogue) is not listed.
    pub fn run_timed(&self, program: &mut Executable) -> Vec<Timing> {
        let mut timings = Vec::with_capacity(program.steps.len());
        let mut start = Instant::now();
        self.run_steps(program, |step| {
            let now = Instant::now();
            let seconds = (now - start).as_secs_f64();
            timings.push(Timing { instruction: step.instruction, seconds });
            start = now;
        });
        timings
    }
}

/// Whether `next` takes the batch statistics of what `instruction` has just computed, so that the one
/// kernel can do both: the groups.
fn stats_groups(instruction: &Instruction, next: Option<&Instruction>) -> usize {
    let Some(next) = next else { return 0 };
    let Some(stats) = next.op.downcast::<ops::BatchStats>() else { return 0 };
    let result = instruction.output;
    let input = next.inputs[0];
    let same = input.buffer == result.buffer
        && input.range() == result.range()
        && input.shape.last() == result.shape.last()
        && result.shape.dims()[0].is_multiple_of(stats.groups);
    if same && kernels::gives_stats(&*instruction.op) { stats.groups } else { 0 }
}

impl Backend for Cpu {
    type Element = f32;
    type Storage = Storage;
    type Executable = Executable;

    fn describe(&self) -> String {
        let threads = self.threads();
        format!("CPU, {}, {threads} thread{}", self.isa(), if threads == 1 { "" } else { "s" })
    }

    fn supports(&self, _op: &dyn Operation, _inputs: &[Shape], _output: Shape) -> bool {
        true
    }

    fn allocate(&self, label: &str, elements: usize) -> Result<Storage> {
        Ok(Storage(Arc::new(AlignedBuffer::zeroed(format_args!("the variable '{label}'"), elements)?)))
    }

    fn write(&self, storage: &Storage, data: &[f32]) -> Result<()> {
        let _running = lock(&self.device.scratch);
        check(data.len(), storage.0.len())?;
        // SAFETY: no program runs while the lock is held, and the length was checked.
        unsafe { data.as_ptr().copy_to_nonoverlapping(storage.0.as_ptr(), data.len()) };
        Ok(())
    }

    fn read(&self, storage: &Storage, out: &mut [f32]) -> Result<()> {
        let _running = lock(&self.device.scratch);
        check(out.len(), storage.0.len())?;
        // SAFETY: no program runs while the lock is held, and the length was checked.
        unsafe { storage.0.as_ptr().copy_to_nonoverlapping(out.as_mut_ptr(), out.len()) };
        Ok(())
    }

    fn compile(&self, plan: Arc<Plan>, variables: Vec<Storage>) -> Result<Executable> {
        let Device { isa, way, threads, scratch } = &*self.device;
        let mut variables = variables.into_iter();
        let mut buffers = Vec::new();
        for (number, spec) in plan.buffers().iter().enumerate() {
            let buffer = match &spec.kind {
                BufferKind::Variable(name) => {
                    let Some(Storage(buffer)) = variables.next() else {
                        return Err(Error::new(format!("no memory was given for the variable '{name}'")));
                    };
                    if buffer.len() < spec.elements {
                        return Err(Error::new(format!(
                            "the variable '{name}' has {} elements, the program expects {}",
                            buffer.len(),
                            spec.elements
                        )));
                    }
                    buffer
                }
                BufferKind::Input(name) => {
                    Arc::new(AlignedBuffer::zeroed(format_args!("the input '{name}'"), spec.elements)?)
                }
                BufferKind::Temporary => {
                    Arc::new(AlignedBuffer::zeroed(first_writer(&plan, number), spec.elements)?)
                }
                BufferKind::Fill(value) => {
                    let mut buffer = AlignedBuffer::zeroed("a constant", spec.elements)?;
                    buffer.fill(*value as f32);
                    Arc::new(buffer)
                }
                BufferKind::Constant(values) => {
                    let mut buffer = AlignedBuffer::zeroed("a constant", spec.elements)?;
                    for (x, &value) in buffer.iter_mut().zip(values.iter()) {
                        *x = value as f32;
                    }
                    Arc::new(buffer)
                }
            };
            buffers.push(buffer);
        }
        let mut program = Executable { plan: plan.clone(), steps: Vec::new(), buffers };
        let mut workspace = Workspace::default();
        let mut instructions = plan.instructions().iter().enumerate().peekable();
        while let Some((i, instruction)) = instructions.next() {
            for view in instruction.inputs.iter().chain([&instruction.output]) {
                check(view.range().end, program.buffers[view.buffer].len())?;
            }
            let groups = stats_groups(instruction, instructions.peek().map(|(_, next)| *next));
            let kernel = kernels::prepare(*isa, instruction, groups, *way);
            workspace = workspace.max(kernel.workspace());
            let stats = if groups > 0 { instructions.next() } else { None };
            program.steps.push(Step {
                kernel,
                instruction: i,
                inputs: instruction.inputs.iter().map(|view| program.slice(*view).cast_const()).collect(),
                output: program.slice(instruction.output),
                stats: stats.map_or(std::ptr::null_mut(), |(_, stats)| program.slice(stats.output)),
            });
        }
        lock(scratch).grow(workspace, threads.count())?;
        Ok(program)
    }

    fn write_input(&self, program: &mut Executable, index: usize, data: &[f32]) -> Result<()> {
        let view = program.plan.input_view(index);
        check(data.len(), view.shape.len())?;
        // SAFETY: the input belongs to this program, which is borrowed mutably; the length was checked.
        unsafe { data.as_ptr().copy_to_nonoverlapping(program.slice(view), data.len()) };
        Ok(())
    }

    fn run(&self, program: &mut Executable) -> Result<()> {
        self.run_steps(program, |_| ());
        Ok(())
    }

    fn read_output(&self, program: &mut Executable, index: usize, out: &mut [f32]) -> Result<()> {
        let view = program.plan.output_view(index);
        check(out.len(), view.shape.len())?;
        let _running = lock(&self.device.scratch);
        // SAFETY: an output that lies in a variable is not written while the lock is held.
        unsafe { program.slice(view).copy_to_nonoverlapping(out.as_mut_ptr(), out.len()) };
        Ok(())
    }
}

/// What a temporary buffer is for, in words: the first result that lies in it.
fn first_writer(plan: &Plan, buffer: usize) -> String {
    let writer = plan.instructions().iter().find(|instruction| instruction.output.buffer == buffer);
    writer.map_or_else(
        || "a temporary result".into(),
        |i| match &*i.scope {
            "" => format!("the result of {} {}", i.op.name(), i.output.shape),
            scope => format!("the result of {} {} in {scope}", i.op.name(), i.output.shape),
        },
    )
}

fn check(wanted: usize, available: usize) -> Result<()> {
    if wanted <= available {
        return Ok(());
    }
    Err(Error::new(format!("{wanted} elements do not fit into memory of {available}")))
}
