//! The dispatches of a plan's operations, each by itself.

use gannet_shaders::Launch;
use gannet_tensor::{Error, Instruction, Operation, Plan, Result, Shape};

/// Whether a device that runs dispatches can run an operation of a plan, for these shapes, as it is. The planner
/// resolves views and pieces; they never reach a device.
pub fn supports(op: &dyn Operation, inputs: &[Shape], output: Shape) -> bool {
    op.view(inputs).is_some()
        || op.pieces(inputs, output).is_some()
        || op.launch(inputs, output, false).is_some()
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
