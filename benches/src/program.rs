//! Cases of the case list as programs to be timed.

use gannet_tensor::{Backend, Element, Graph, Program, Result, Var, Variables};
use gannet_tests::{Case, Derivative, Random, Trial};

use crate::Work;

/// The case as a program with values, and its work. The output `done` is one element: reading it waits for
/// the device.
pub fn program<B: Backend>(backend: &B, case: &Case) -> Result<(Program<B>, Work)> {
    let graph = Graph::new();
    let trial = Trial::new(&graph, case, Derivative::Missing, &mut Random::new(1))?;
    prepare(backend, &trial, &[trial.y])
}

/// The gradients of the case with respect to all of its inputs.
pub fn gradient_program<B: Backend>(backend: &B, case: &Case) -> Result<(Program<B>, Work)> {
    let graph = Graph::new();
    let trial = Trial::new(&graph, case, Derivative::Exists, &mut Random::new(1))?;
    let gradients = trial.gradients.as_ref().map_or(Vec::new(), |gradients| gradients.dx.clone());
    prepare(backend, &trial, &gradients)
}

fn prepare<B: Backend>(backend: &B, trial: &Trial<'_>, outputs: &[Var<'_>]) -> Result<(Program<B>, Work)> {
    let mut plan = outputs[0].graph().plan();
    for (i, y) in outputs.iter().enumerate() {
        // A view: only the element is read back, all of the tensor is computed.
        let first = y.reshape([y.shape().len()]).slice(0, 0, 1);
        plan = plan.output(&if i == 0 { "done".to_string() } else { format!("output {i}") }, first);
    }
    let mut program = Program::new(backend, plan.build()?, &Variables::new())?;
    let inputs: Vec<String> = program.plan().inputs().map(|(name, _)| name.to_string()).collect();
    for name in inputs {
        let values: Vec<B::Element> = trial.values(&name).iter().map(|&v| B::Element::of(v)).collect();
        program.write(&name, &values)?;
    }
    let elements: usize = program.plan().instructions().iter().map(|i| i.traffic()).sum();
    let work = Work { flops: program.plan().flops(), bytes: (elements * size_of::<B::Element>()) as u64 };
    Ok((program, work))
}
