//! Whether a program is sound: what is wrong with one that is not, in words.

use std::collections::BTreeMap;

use crate::buffer::{BufferKind, Region};
use crate::dispatches::{Dispatch, Dispatches, Named};
use crate::shader_text::{ShaderAccess, ShaderText};

/// WebGPU's default limit of workgroups per dimension of a dispatch.
const MAX_WORKGROUPS: u32 = 65_535;

type Shaders = BTreeMap<String, ShaderText>;
type Variables = BTreeMap<String, Vec<f32>>;

/// Errors with the first thing that a device could not do, or would do wrongly.
pub(crate) fn check(program: &Dispatches, shaders: &Shaders, variables: &Variables) -> Result<(), String> {
    let limits = program.limits;
    for alignment in [limits.storage_alignment, limits.uniform_alignment] {
        if !alignment.is_power_of_two() {
            return Err(format!("an alignment of {alignment} bytes is no power of two"));
        }
    }
    for buffer in &program.buffers {
        if buffer.bytes == 0 || !buffer.bytes.is_multiple_of(16) {
            return Err(format!(
                "the buffer '{}' has {} bytes, no multiple of 16",
                buffer.label, buffer.bytes
            ));
        }
    }
    for contents in &program.contents {
        let (label, numbers) = (inside(program, contents.region)?, contents.region.bytes / 4);
        if contents.values.len() != numbers && contents.values.len() != 1 {
            return Err(format!(
                "{} values for {numbers} numbers of the buffer '{label}'",
                contents.values.len()
            ));
        }
    }
    for (number, dispatch) in program.dispatches.iter().enumerate() {
        let shader = shaders.get(dispatch.shader.as_ref());
        let shader = shader.ok_or_else(|| format!("the shader '{}' is missing", dispatch.shader))?;
        bound(program, dispatch, shader)
            .map_err(|e| format!("dispatch {number} of {}: {e}", dispatch.shader))?;
    }
    let places = [("input", &program.inputs), ("output", &program.outputs), ("variable", &program.variables)];
    for (what, tensors) in places {
        for tensor in tensors {
            named(program, tensor).map_err(|e| format!("the {what} '{}': {e}", tensor.name))?;
        }
    }
    for tensor in &program.variables {
        let label = &program.buffers[tensor.region.buffer].label;
        if program.buffers[tensor.region.buffer].kind != BufferKind::Variable || *label != tensor.name {
            return Err(format!("the variable '{}' lies in the buffer '{label}'", tensor.name));
        }
        let values = variables.get(&tensor.name);
        let values = values.ok_or_else(|| format!("the variable '{}' has no values", tensor.name))?;
        if values.len() * 4 > tensor.region.bytes {
            return Err(format!(
                "{} values for the variable '{}' of {} bytes",
                values.len(),
                tensor.name,
                tensor.region.bytes
            ));
        }
    }
    Ok(())
}

/// Whether a region lies in its buffer, in whole numbers; the buffer's label.
fn inside(program: &Dispatches, region: Region) -> Result<&str, String> {
    let Region { buffer: number, offset, bytes } = region;
    let Some(buffer) = program.buffers.get(number) else {
        return Err(format!("there is no buffer {number}, only {}", program.buffers.len()));
    };
    let end = offset.checked_add(bytes);
    if end.is_none_or(|end| end > buffer.bytes) || !offset.is_multiple_of(4) || !bytes.is_multiple_of(4) {
        return Err(format!(
            "{bytes} bytes from {offset} on are no numbers of the buffer '{}', which has {} bytes",
            buffer.label, buffer.bytes
        ));
    }
    Ok(&buffer.label)
}

fn named(program: &Dispatches, tensor: &Named) -> Result<(), String> {
    inside(program, tensor.region)?;
    let elements = tensor.shape.iter().try_fold(1usize, |product, dim| product.checked_mul(*dim));
    match elements.and_then(|elements| elements.checked_mul(4)) {
        Some(bytes) if bytes == tensor.region.bytes => Ok(()),
        _ => Err(format!("{} bytes do not hold the shape {:?}", tensor.region.bytes, tensor.shape)),
    }
}

fn bound(program: &Dispatches, dispatch: &Dispatch, shader: &ShaderText) -> Result<(), String> {
    let (limits, params) = (program.limits, program.params.len());
    let end = dispatch.params.checked_add(shader.params_size);
    if end.is_none_or(|end| end > params) || !dispatch.params.is_multiple_of(limits.uniform_alignment) {
        return Err(format!(
            "{} bytes of parameters from {} on, of {params} at multiples of {}",
            shader.params_size, dispatch.params, limits.uniform_alignment
        ));
    }
    if dispatch.bindings.len() != shader.bindings.len() {
        return Err(format!("{} buffers for {} bindings", dispatch.bindings.len(), shader.bindings.len()));
    }
    if dispatch.workgroups.iter().any(|&count| count == 0 || count > MAX_WORKGROUPS) {
        return Err(format!(
            "a grid of {:?} workgroups, each number of which should be 1 to {MAX_WORKGROUPS}",
            dispatch.workgroups
        ));
    }
    for (region, binding) in dispatch.bindings.iter().zip(&shader.bindings) {
        let label = inside(program, *region)?;
        if !region.offset.is_multiple_of(limits.storage_alignment) || region.bytes < binding.stride as usize {
            return Err(format!(
                "{} bytes of the buffer '{label}' from {} on cannot be bound: at least {} at a multiple of {} can",
                region.bytes, region.offset, binding.stride, limits.storage_alignment
            ));
        }
    }
    // One dispatch binds a buffer either to read or to write, and to write once.
    let written = |i: usize| shader.bindings[i].access == ShaderAccess::ReadWrite;
    for i in (0..dispatch.bindings.len()).filter(|&i| written(i)) {
        let same = |j: &usize| dispatch.bindings[*j].buffer == dispatch.bindings[i].buffer;
        if (0..dispatch.bindings.len()).filter(same).count() > 1 {
            let label = &program.buffers[dispatch.bindings[i].buffer].label;
            return Err(format!("the buffer '{label}' is bound to be written and once more"));
        }
    }
    Ok(())
}
