//! The reference backend with an eye on every number: where does the first one appear that is not finite?

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::backend::{Executable, Memory, Reference, lock};
use crate::backend::Backend;
use crate::error::Result;
use crate::graph::Operation;
use crate::plan::Plan;
use crate::shape::Shape;

/// The first operation that gave a number that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Its name.
    pub operation: &'static str,
    /// The layer it belongs to, or the part of the step: `discriminator/2.conv2d`.
    pub scope: String,
    /// The shape of its output.
    pub shape: Shape,
    /// The first element of the output that is not finite, and its value.
    pub element: usize,
    /// See `element`.
    pub value: f64,
    /// The largest magnitude in each of its inputs. One that is itself not finite came from outside: a variable or an
    /// input of the program.
    pub inputs: Vec<f64>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { operation, scope, shape, element, value, inputs } = self;
        let scope = if scope.is_empty() { "the step" } else { scope };
        write!(f, "{value} at element {element} of {operation} {shape} in {scope}")?;
        let sizes: Vec<String> = inputs.iter().map(|size| format!("{size:.3e}")).collect();
        write!(f, ", whose inputs are up to {}", sizes.join(", "))
    }
}

/// The reference backend in `f32`, that looks at each result and remembers the first [`Fault`]. It is as slow as the
/// reference: for one step, to find out what went wrong in it.
#[derive(Clone, Default)]
pub struct Probe {
    reference: Reference<f32>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Probe {
    /// A probe that has seen nothing.
    pub fn new() -> Probe {
        Probe::default()
    }

    /// The first fault in all that was run so far.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The largest magnitude; NaN if there is one.
fn size(values: &[f32]) -> f64 {
    values.iter().fold(
        0.0,
        |size: f64, &x| if x.is_nan() || size.is_nan() { f64::NAN } else { size.max(f64::from(x.abs())) },
    )
}

impl Backend for Probe {
    type Element = f32;
    type Storage = Memory<f32>;
    type Executable = Executable<f32>;

    fn describe(&self) -> String {
        "reference, f32, looking for numbers that are not finite".into()
    }

    fn supports(&self, _op: &dyn Operation, _inputs: &[Shape], _output: Shape) -> bool {
        true
    }

    fn allocate(&self, label: &str, elements: usize) -> Result<Memory<f32>> {
        self.reference.allocate(label, elements)
    }

    fn write(&self, storage: &Memory<f32>, data: &[f32]) -> Result<()> {
        self.reference.write(storage, data)
    }

    fn read(&self, storage: &Memory<f32>, out: &mut [f32]) -> Result<()> {
        out.copy_from_slice(&lock(storage)[..out.len()]);
        Ok(())
    }

    fn compile(&self, plan: Arc<Plan>, variables: Vec<Memory<f32>>) -> Result<Executable<f32>> {
        self.reference.compile(plan, variables)
    }

    fn write_input(&self, program: &mut Executable<f32>, index: usize, data: &[f32]) -> Result<()> {
        self.reference.write_input(program, index, data)
    }

    fn run(&self, program: &mut Executable<f32>) -> Result<()> {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        program.run(|instruction, inputs, output| {
            if fault.is_some() {
                return;
            }
            *fault = output.iter().position(|x| !x.is_finite()).map(|element| Fault {
                operation: instruction.op.name(),
                scope: instruction.scope.to_string(),
                shape: instruction.output.shape,
                element,
                value: f64::from(output[element]),
                inputs: inputs.iter().map(|input| size(input.data)).collect(),
            });
        });
        Ok(())
    }

    fn read_output(&self, program: &mut Executable<f32>, index: usize, out: &mut [f32]) -> Result<()> {
        self.reference.read_output(program, index, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Graph, Program, Variables};

    #[test]
    fn the_first_operation_with_a_bad_number_is_named() {
        let graph = Graph::new();
        let x = graph.input("x", [3]);
        let y = graph.scoped("model/1.square", || x.square());
        let z = graph.scoped("model/2.exp", || y.exp());
        let plan = graph.plan().output("z", z.sqrt()).build().unwrap();
        let probe = Probe::new();
        let mut program = Program::new(&probe, plan, &Variables::new()).unwrap();
        program.write("x", &[1.0, -2.0, 0.5]).unwrap();
        program.run().unwrap();
        assert_eq!(probe.fault(), None);
        program.write("x", &[1.0, -10.0, 0.5]).unwrap();
        program.run().unwrap();
        let fault = probe.fault().unwrap();
        assert_eq!((fault.operation, fault.scope.as_str(), fault.element), ("exp", "model/2.exp", 1));
        assert_eq!((fault.value, &fault.inputs[..]), (f64::INFINITY, &[100.0][..]));
        let text = fault.to_string();
        assert!(
            text.starts_with("inf at element 1 of exp [3] in model/2.exp, whose inputs are up to 1.000e2"),
            "{text}"
        );
    }
}
