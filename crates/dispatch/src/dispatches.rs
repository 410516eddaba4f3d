//! A plan as buffers, parameters and dispatches.

use std::borrow::Cow;

use gannet_tensor::{Plan, Result, Shape, View};
use serde::{Deserialize, Serialize};

use crate::buffer::{Buffer, BufferKind, Contents, Region, buffer_bytes};
use crate::drafts::{Drafts, Memory};
use crate::launches::launches;
use crate::layout::Layout;
use crate::limits::Limits;
use crate::products::{Tiles, choose};

/// One dispatch: a shader, its parameters, its buffers and its grid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// The name of the shader.
    pub shader: Cow<'static, str>,
    /// The first byte of its parameters in [`Dispatches::params`].
    pub params: usize,
    /// What its storage buffers are bound to, in the order of [`Shader::bindings`](gannet_shaders::Shader::bindings).
    pub bindings: Vec<Region>,
    /// Workgroups in x, y and z.
    pub workgroups: [u32; 3],
    /// The instructions of the plan that it works for; it is called after the first.
    pub instructions: Vec<usize>,
}

/// A tensor of a program that has a name: an input, an output or a variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The dimensions.
    pub shape: Vec<usize>,
    /// Where its numbers lie, row-major.
    pub region: Region,
}

/// A plan as data that a device runs without knowing an operation: one run is all dispatches in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatches {
    /// What offsets keep to.
    pub limits: Limits,
    /// The buffers; regions name them by position.
    pub buffers: Vec<Buffer>,
    /// What is written to them before the first run.
    pub contents: Vec<Contents>,
    /// The contents of the uniform buffer that holds the parameters of all dispatches.
    pub params: Vec<u8>,
    /// The dispatches, in order.
    pub dispatches: Vec<Dispatch>,
    /// The inputs, in the plan's order.
    pub inputs: Vec<Named>,
    /// The outputs, in the plan's order.
    pub outputs: Vec<Named>,
    /// The variables, in the plan's order. Each has a buffer to itself.
    pub variables: Vec<Named>,
}

impl Dispatches {
    /// The dispatches of `plan`, whose buffers lie as `layout` says.
    ///
    /// # Errors
    /// When an operation has no shader ([`supports`](crate::supports)), or reads a tensor without elements.
    pub fn new(plan: &Plan, layout: &Layout, limits: Limits) -> Result<Dispatches> {
        Dispatches::made(plan, layout, limits, &Tiles::new(), true)
    }

    /// The same with products in the tiles that `tiles` names.
    ///
    /// # Errors
    /// As [`new`](Dispatches::new).
    pub fn with_tiles(plan: &Plan, layout: &Layout, limits: Limits, tiles: &Tiles) -> Result<Dispatches> {
        Dispatches::made(plan, layout, limits, tiles, true)
    }

    /// The same with every dispatch belonging to one instruction, to be run one by one.
    ///
    /// # Errors
    /// As [`new`](Dispatches::new).
    pub fn one_by_one(plan: &Plan, layout: &Layout, limits: Limits, tiles: &Tiles) -> Result<Dispatches> {
        Dispatches::made(plan, layout, limits, tiles, false)
    }

    fn made(plan: &Plan, layout: &Layout, limits: Limits, tiles: &Tiles, joined: bool) -> Result<Dispatches> {
        let alignment = (limits.storage_alignment / 4).max(1);
        let mut launches = launches(plan)?;
        choose(&mut launches, tiles);
        let Drafts { drafts, scratch, kept, .. } =
            Drafts::new(plan, &layout.places, alignment, joined).made(launches);
        let mut buffers = layout.buffers.clone();
        let mut temporaries = |elements: Vec<usize>, label: fn(usize) -> String| {
            let first = buffers.len();
            buffers.extend(elements.into_iter().enumerate().map(|(slot, elements)| Buffer {
                label: label(slot),
                kind: BufferKind::Temporary,
                bytes: buffer_bytes(elements),
            }));
            first
        };
        let scratch = temporaries(scratch, |slot| format!("temporary {slot} of an operation"));
        let kept = temporaries(kept, |_| "a result on its way".into());
        let mut params: Vec<u8> = Vec::new();
        let mut dispatches = Vec::new();
        for draft in drafts {
            params.resize(params.len().next_multiple_of(limits.uniform_alignment), 0);
            let bindings = draft.shader.bindings.iter().zip(&draft.regions).map(|(binding, region)| Region {
                buffer: match region.memory {
                    Memory::Plan(buffer) => layout.places[buffer].buffer,
                    Memory::Scratch(slot) => scratch + slot,
                    Memory::Kept(slot) => kept + slot,
                },
                offset: region.offset * 4,
                bytes: (region.elements * 4).max(binding.stride as usize),
            });
            dispatches.push(Dispatch {
                shader: Cow::Borrowed(draft.shader.name),
                params: params.len(),
                bindings: bindings.collect(),
                workgroups: draft.workgroups,
                instructions: draft.instructions,
            });
            params.extend(&draft.params);
        }
        params.resize(params.len().next_multiple_of(16).max(16), 0);
        let named = |(name, shape): (&str, Shape), view: View| Named {
            name: name.into(),
            shape: shape.dims().to_vec(),
            region: layout.region(view),
        };
        Ok(Dispatches {
            limits,
            buffers,
            contents: layout.contents.clone(),
            params,
            dispatches,
            inputs: plan.inputs().enumerate().map(|(i, x)| named(x, plan.input_view(i))).collect(),
            outputs: plan.outputs().enumerate().map(|(i, x)| named(x, plan.output_view(i))).collect(),
            variables: plan.variables().enumerate().map(|(i, x)| named(x, plan.variable_view(i))).collect(),
        })
    }
}
