//! What a device has to offer to run programs.

use std::sync::Arc;

use crate::element::Element;
use crate::error::Result;
use crate::plan::Plan;
use crate::shape::Shape;

/// A device that runs plans. A backend is a cheap handle; clones share the device.
///
/// Only [`Program`](crate::Program) and [`Variables`](crate::Variables) are generic over it; graphs,
/// layers and optimisers are not. An operation without a kernel of its own runs as its decomposition or,
/// on a CPU, as its reference kernel.
pub trait Backend: Clone + Send {
    /// The number type of every tensor.
    type Element: Element;
    /// The memory of one tensor that lives across runs. Clones are the same memory.
    type Storage: Clone + Send;
    /// A plan made ready to run, with its buffers.
    type Executable: Send;

    /// The device in words, for people: name, instruction set or driver, threads.
    fn describe(&self) -> String;

    /// Whether [`compile`](Backend::compile) takes an operation of a plan, for these shapes, as it is.
    /// Otherwise the plan is built with its decomposition instead.
    fn supports(&self, op: &dyn crate::Operation, inputs: &[Shape], output: Shape) -> bool;

    /// Memory for `elements` numbers, zeroed. `label` names it in errors.
    fn allocate(&self, label: &str, elements: usize) -> Result<Self::Storage>;

    /// Overwrites the first `data.len()` numbers of `storage`.
    fn write(&self, storage: &Self::Storage, data: &[Self::Element]) -> Result<()>;

    /// Reads the first `out.len()` numbers of `storage`.
    fn read(&self, storage: &Self::Storage, out: &mut [Self::Element]) -> Result<()>;

    /// Prepares a plan: kernels, buffers, bindings. `variables` are the storages of the plan's variable
    /// buffers, in the plan's order. Nothing is allocated by later runs.
    fn compile(&self, plan: Arc<Plan>, variables: Vec<Self::Storage>) -> Result<Self::Executable>;

    /// Overwrites input `index` (in the order of [`Plan::inputs`]).
    fn write_input(&self, program: &mut Self::Executable, index: usize, data: &[Self::Element])
    -> Result<()>;

    /// Runs the program once.
    fn run(&self, program: &mut Self::Executable) -> Result<()>;

    /// Reads output `index` (in the order of [`Plan::outputs`]) of the last run.
    fn read_output(
        &self,
        program: &mut Self::Executable,
        index: usize,
        out: &mut [Self::Element],
    ) -> Result<()>;

    /// Asks that the next run keeps its value of output `index` until it is collected, so that reading it need not
    /// wait for the device. False, and nothing is kept, where reading after a run never waits:
    /// [`Program`](crate::Program) then reads at once.
    fn request_output(&self, _program: &mut Self::Executable, _index: usize) -> Result<bool> {
        Ok(false)
    }

    /// Copies the oldest value of output `index` that was kept and not collected yet to `out`. False when there is
    /// none, or when it has not arrived yet; with `wait` it is waited for.
    fn collect_output(
        &self,
        _program: &mut Self::Executable,
        _index: usize,
        _out: &mut [Self::Element],
        _wait: bool,
    ) -> Result<bool> {
        Ok(false)
    }
}
