//! A generator as a list of operations for one picture, which a page without WebGPU computes in JavaScript.

use gannet::export::Sampler;
use gannet::tensor::{BufferKind, Instruction, View};
use gannet::{Backend, Gan, Shape};
use serde::Serialize;

use super::operation::Kind;
use crate::error::{Error, Result};

/// The operations in their order, and the memory that they work in.
#[derive(Debug, Serialize)]
pub(super) struct Forward {
    memory: Vec<Memory>,
    steps: Vec<Step>,
    images: Part,
}

/// A vector of numbers.
#[derive(Debug, Serialize)]
struct Memory {
    elements: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    /// What it holds from the beginning: as many numbers, or one that is everywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<f32>,
}

/// A part of a vector: its number, the first element and how many.
#[derive(Debug, Serialize)]
struct Part(usize, usize, usize);

impl From<View> for Part {
    fn from(view: View) -> Part {
        Part(view.buffer, view.offset, view.shape.len())
    }
}

#[derive(Debug, Serialize)]
struct Step {
    #[serde(flatten)]
    kind: Kind,
    inputs: Vec<Part>,
    output: Part,
}

impl Forward {
    /// That of a model; nothing where one of its operations is not known to JavaScript, or where a picture depends on the
    /// others that are drawn with it.
    pub(super) fn of<B: Backend>(gan: &Gan<B>) -> Result<Option<Forward>> {
        let plan = Sampler::of(gan, 1, 0)?.plan;
        let mixes = |instruction: &Instruction| instruction.scope.contains("minibatch_std");
        if plan.instructions().iter().any(mixes) {
            return Ok(None);
        }
        let known = |op: &dyn gannet::tensor::Operation, inputs: &[Shape], output: Shape| {
            op.pieces(inputs, output).is_some() || Kind::of(op, inputs, output).is_some()
        };
        // What is not known and is not made of what is.
        let Ok(plan) = plan.lowered(known) else { return Ok(None) };
        let mut memory = Vec::new();
        for spec in plan.buffers() {
            let of = Memory { elements: spec.elements, variable: None, input: None, values: Vec::new() };
            memory.push(match &spec.kind {
                BufferKind::Variable(name) => Memory { variable: Some(name.clone()), ..of },
                BufferKind::Input(name) => Memory { input: Some(name.clone()), ..of },
                BufferKind::Fill(value) => Memory { values: vec![*value as f32], ..of },
                BufferKind::Constant(values) => {
                    Memory { values: values.iter().map(|&value| value as f32).collect(), ..of }
                }
                BufferKind::Temporary => of,
            });
        }
        let mut steps = Vec::new();
        for Instruction { op, inputs, output, .. } in plan.instructions() {
            let shapes: Vec<Shape> = inputs.iter().map(|view| view.shape).collect();
            let Some(kind) = Kind::of(&**op, &shapes, output.shape) else { return Ok(None) };
            let inputs = inputs.iter().copied().map(Part::from).collect();
            steps.push(Step { kind, inputs, output: (*output).into() });
        }
        let images = plan.outputs().position(|(name, _)| name == "images");
        let images = images.ok_or_else(|| Error::failure("a generator's program without images"))?;
        Ok(Some(Forward { memory, steps, images: plan.output_view(images).into() }))
    }
}

#[cfg(test)]
mod tests {
    use gannet::{Cpu, presets};

    use super::*;

    #[test]
    fn every_preset_can_be_computed_in_javascript() {
        let names = presets::names();
        for name in names {
            let mut config = presets::get(name).unwrap();
            config.steps = Some(1);
            let gan = Gan::new(&Cpu::new().unwrap(), config).unwrap();
            assert!(Forward::of(&gan).unwrap().is_some(), "{name}");
        }
    }
}
