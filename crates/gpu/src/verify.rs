//! A backend that checks every operation it runs: is the driver to be trusted?

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gannet_tensor::{Backend, Operation, Plan, Result, Shape, TensorMut, TensorRef};

use crate::buffer::Storage;
use crate::device::Wgpu;
use crate::executable::Executable;

/// Errors that an operation may make, in units of eps times its condition times sqrt(K).
const FACTOR: f64 = 8.0;

/// What one operation's results were compared with, at its worst.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// Times it was checked.
    pub checks: u64,
    /// The largest error in units of its bound.
    pub worst: f64,
    /// Where that was: layer, shape, run.
    pub place: String,
}

/// What a [`Verifier`] has found so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// By the name of the operation.
    pub operations: BTreeMap<&'static str, Verdict>,
    /// The first result outside its bound: which operation, where, and what it should have been.
    pub failure: Option<String>,
    /// Runs checked.
    pub runs: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<26} {:>8} {:>12}  at", "operation", "checks", "error/bound")?;
        for (name, verdict) in &self.operations {
            writeln!(f, "{name:<26} {:>8} {:>12.4}  {}", verdict.checks, verdict.worst, verdict.place)?;
        }
        match &self.failure {
            Some(failure) => write!(f, "FAILED: {failure}"),
            None => write!(f, "every operation within its bound in {} runs", self.runs),
        }
    }
}

/// A GPU whose every operation is computed again in `f64` by the reference kernel, from the inputs that the GPU
/// had, and compared within the bound of rounding: `FACTOR eps sqrt(K)` times what the operation makes of errors of
/// one eps in its inputs, plus its result. It is slow: each operation is a submission with its inputs read back.
#[derive(Clone)]
pub struct Verifier {
    gpu: Wgpu,
    report: Arc<Mutex<Report>>,
}

impl Verifier {
    /// Checks what runs on `gpu`.
    pub fn new(gpu: Wgpu) -> Verifier {
        Verifier { gpu, report: Arc::default() }
    }

    /// What has been found so far.
    pub fn report(&self) -> Report {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, program: &mut Executable, number: usize) -> Result<()> {
        let plan = program.plan.clone();
        let instruction = &plan.instructions()[number];
        let mut inputs = Vec::new();
        for view in &instruction.inputs {
            inputs.push((view.shape, program.read_view(*view)?));
        }
        program.run_instruction(number)?;
        let found = program.read_view(instruction.output)?;
        let excess = compare(&*instruction.op, &inputs, instruction.output.shape, &found);
        let mut report = self.lock();
        let place = format!("{} {}, run {}", instruction.scope, instruction.output.shape, report.runs);
        let verdict = report.operations.entry(instruction.op.name()).or_insert_with(|| Verdict {
            checks: 0,
            worst: 0.0,
            place: place.clone(),
        });
        verdict.checks += 1;
        if excess.ratio > verdict.worst {
            (verdict.worst, verdict.place) = (excess.ratio, place.clone());
        }
        if excess.ratio > 1.0 && report.failure.is_none() {
            report.failure = Some(format!(
                "{} of {place}: element {} is {:e}, expected {:e}, {:.3e} times the bound",
                instruction.op.name(),
                excess.element,
                excess.found,
                excess.expected,
                excess.ratio
            ));
        }
        Ok(())
    }
}

/// The worst element of a result, its error in units of the bound.
struct Excess {
    ratio: f64,
    element: usize,
    found: f64,
    expected: f64,
}

fn compare(op: &dyn Operation, inputs: &[(Shape, Vec<f32>)], shape: Shape, found: &[f32]) -> Excess {
    let evaluate = |values: &[Vec<f64>]| {
        let tensors: Vec<TensorRef<'_, f64>> = inputs
            .iter()
            .zip(values)
            .map(|((shape, _), values)| TensorRef { data: values, shape: *shape })
            .collect();
        let mut y = vec![0.0; shape.len()];
        op.eval_f64(&tensors, TensorMut { data: &mut y, shape });
        y
    };
    let values: Vec<Vec<f64>> =
        inputs.iter().map(|(_, x)| x.iter().map(|&x| f64::from(x)).collect()).collect();
    let expected = evaluate(&values);
    // Every input moved by one eps up or down, at random: the condition of the operation. Its size is taken over
    // the whole tensor, which is what rounding at random has in common everywhere.
    const STEP: f64 = 1.0 / (1u64 << 30) as f64;
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut sign = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if state >> 63 == 1 { STEP } else { -STEP }
    };
    let moved: Vec<Vec<f64>> = values
        .iter()
        .map(|x| x.iter().map(|x| if x.fract() == 0.0 { *x } else { x + x * sign() }).collect())
        .collect();
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let condition = largest(&mut evaluate(&moved).iter().zip(&expected).map(|(m, y)| (m - y).abs() / STEP));
    let size = largest(&mut expected.iter().map(|y| y.abs()));
    let shapes: Vec<Shape> = inputs.iter().map(|(shape, _)| *shape).collect();
    let terms = (op.flops(&shapes, shape) as f64 / shape.len().max(1) as f64 / 2.0).max(1.0);
    let bound =
        FACTOR * f64::from(f32::EPSILON) * terms.sqrt() * (condition + size) + f64::from(f32::MIN_POSITIVE);
    let mut worst = Excess { ratio: 0.0, element: 0, found: 0.0, expected: 0.0 };
    for (element, (&found, &expected)) in found.iter().zip(&expected).enumerate() {
        let found = f64::from(found);
        let ratio = (found - expected).abs() / bound;
        let ratio = if ratio.is_nan() { f64::INFINITY } else { ratio };
        if ratio > worst.ratio {
            worst = Excess { ratio, element, found, expected };
        }
    }
    worst
}

impl Backend for Verifier {
    type Element = f32;
    type Storage = Storage;
    type Executable = Executable;

    fn describe(&self) -> String {
        format!("{}, every operation checked", self.gpu.describe())
    }

    fn supports(&self, op: &dyn Operation, inputs: &[Shape], output: Shape) -> bool {
        self.gpu.supports(op, inputs, output)
    }

    fn allocate(&self, label: &str, elements: usize) -> Result<Storage> {
        self.gpu.allocate(label, elements)
    }

    fn write(&self, storage: &Storage, data: &[f32]) -> Result<()> {
        self.gpu.write(storage, data)
    }

    fn read(&self, storage: &Storage, out: &mut [f32]) -> Result<()> {
        self.gpu.read(storage, out)
    }

    fn compile(&self, plan: Arc<Plan>, variables: Vec<Storage>) -> Result<Executable> {
        let Wgpu { gpu, pipelines, tiles } = &self.gpu;
        Executable::one_by_one(gpu, pipelines, tiles, plan, variables)
    }

    fn write_input(&self, program: &mut Executable, index: usize, data: &[f32]) -> Result<()> {
        program.write_input(index, data)
    }

    fn run(&self, program: &mut Executable) -> Result<()> {
        program.flush();
        for number in 0..program.plan.instructions().len() {
            self.check(program, number)?;
        }
        self.lock().runs += 1;
        Ok(())
    }

    fn read_output(&self, program: &mut Executable, index: usize, out: &mut [f32]) -> Result<()> {
        program.read_output(index, out)
    }
}
