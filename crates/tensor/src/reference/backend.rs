//! The backend that runs plans by the reference kernels.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::backend::Backend;
use crate::element::Element;
use crate::error::Result;
use crate::graph::Operation;
use crate::plan::{BufferKind, Instruction, Plan};
use crate::shape::Shape;
use crate::tensor_ref::{TensorMut, TensorRef};

/// Runs plans by the reference kernels, in `f32` or `f64`, on one thread.
pub struct Reference<T> {
    element: std::marker::PhantomData<T>,
}

impl<T> Reference<T> {
    /// The reference backend.
    pub fn new() -> Reference<T> {
        Reference { element: std::marker::PhantomData }
    }
}

impl<T> Default for Reference<T> {
    fn default() -> Self {
        Reference::new()
    }
}

impl<T> Clone for Reference<T> {
    fn clone(&self) -> Self {
        Reference::new()
    }
}

pub(super) type Memory<T> = Arc<Mutex<Vec<T>>>;

/// A plan with its buffers.
pub struct Executable<T> {
    plan: Arc<Plan>,
    /// One per buffer of the plan; those of variables are empty between runs.
    buffers: Vec<Vec<T>>,
    /// The variables' memory, in the plan's order.
    variables: Vec<Memory<T>>,
}

pub(super) fn lock<T>(memory: &Memory<T>) -> MutexGuard<'_, Vec<T>> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Element> Executable<T> {
    /// Moves the variables' memory into or out of the buffers.
    fn swap_variables(&mut self) {
        for (index, memory) in self.variables.iter().enumerate() {
            let buffer = self.plan.variable_view(index).buffer;
            std::mem::swap(&mut *lock(memory), &mut self.buffers[buffer]);
        }
    }

    /// Runs the plan, and shows `look` each instruction with its inputs and its output.
    pub(super) fn run(&mut self, mut look: impl FnMut(&Instruction, &[TensorRef<'_, T>], &[T])) {
        self.swap_variables();
        let plan = self.plan.clone();
        for instruction in plan.instructions() {
            let target = instruction.output;
            // The output's memory is taken out; inputs that lie in it are read from a copy.
            let mut memory = std::mem::take(&mut self.buffers[target.buffer]);
            let copies: Vec<Option<Vec<T>>> = instruction
                .inputs
                .iter()
                .map(|view| (view.buffer == target.buffer).then(|| memory[view.range()].to_vec()))
                .collect();
            let inputs: Vec<TensorRef<'_, T>> = instruction
                .inputs
                .iter()
                .zip(&copies)
                .map(|(view, copy)| {
                    let data = match copy {
                        Some(copy) => copy,
                        None => &self.buffers[view.buffer][view.range()],
                    };
                    TensorRef { data, shape: view.shape }
                })
                .collect();
            let output = TensorMut { data: &mut memory[target.range()], shape: target.shape };
            T::evaluate(&*instruction.op, &inputs, output);
            look(instruction, &inputs, &memory[target.range()]);
            self.buffers[target.buffer] = memory;
        }
        self.swap_variables();
    }
}

impl<T: Element> Backend for Reference<T> {
    type Element = T;
    type Storage = Memory<T>;
    type Executable = Executable<T>;

    fn describe(&self) -> String {
        format!("reference, {}, plain loops on one thread", std::any::type_name::<T>())
    }

    fn supports(&self, _op: &dyn Operation, _inputs: &[Shape], _output: Shape) -> bool {
        true
    }

    fn allocate(&self, _label: &str, elements: usize) -> Result<Memory<T>> {
        Ok(Arc::new(Mutex::new(vec![T::ZERO; elements])))
    }

    fn write(&self, storage: &Memory<T>, data: &[T]) -> Result<()> {
        lock(storage)[..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn read(&self, storage: &Memory<T>, out: &mut [T]) -> Result<()> {
        out.copy_from_slice(&lock(storage)[..out.len()]);
        Ok(())
    }

    fn compile(&self, plan: Arc<Plan>, variables: Vec<Memory<T>>) -> Result<Executable<T>> {
        let buffers = plan
            .buffers()
            .iter()
            .map(|spec| match &spec.kind {
                BufferKind::Variable(_) => Vec::new(),
                BufferKind::Input(_) | BufferKind::Temporary => vec![T::ZERO; spec.elements],
                BufferKind::Fill(value) => vec![T::of(*value); spec.elements],
                BufferKind::Constant(values) => values.iter().map(|&v| T::of(v)).collect(),
            })
            .collect();
        Ok(Executable { plan, buffers, variables })
    }

    fn write_input(&self, program: &mut Executable<T>, index: usize, data: &[T]) -> Result<()> {
        let view = program.plan.input_view(index);
        program.buffers[view.buffer].copy_from_slice(data);
        Ok(())
    }

    fn run(&self, program: &mut Executable<T>) -> Result<()> {
        program.run(|_, _, _| ());
        Ok(())
    }

    fn read_output(&self, program: &mut Executable<T>, index: usize, out: &mut [T]) -> Result<()> {
        let view = program.plan.output_view(index);
        let variable =
            (0..program.variables.len()).find(|&i| program.plan.variable_view(i).buffer == view.buffer);
        match variable {
            Some(i) => out.copy_from_slice(&lock(&program.variables[i])[view.range()]),
            None => out.copy_from_slice(&program.buffers[view.buffer][view.range()]),
        }
        Ok(())
    }
}
