//! The tensors of a GAN by their names in files, and where they lie on a device.

use std::ops::Range;

use gannet_tensor::{Backend, Shape, Variables};

use crate::config::GanConfig;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::names;
use crate::optimisers::Optimiser;

/// A tensor of a GAN by the name it has in files, and where it lies on the device.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// The variable that it is part of.
    pub(crate) variable: String,
    offset: usize,
}

impl Slot {
    /// The elements of the variable that it takes.
    pub(crate) fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.len()
    }
}

/// The tensor of that name. Errors, naming those that there are, when there is none.
pub(crate) fn find<'a>(slots: &'a [Slot], name: &str) -> Result<&'a Slot> {
    slots.iter().find(|slot| slot.name == name).ok_or_else(|| {
        let known: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
        Error::invalid(format!("there is no tensor '{name}'; there are: {}", known.join(", ")))
    })
}

/// The values of the tensor of that name, in the layout of its layer.
pub(crate) fn read<B: Backend>(
    slots: &[Slot],
    variables: &Variables<B>,
    backend: &B,
    name: &str,
) -> Result<Vec<B::Element>> {
    let slot = find(slots, name)?;
    Ok(variables.read(backend, &slot.variable)?[slot.range()].to_vec())
}

/// Overwrites the tensor of that name. Errors when it takes another number of values.
pub(crate) fn write<B: Backend>(
    slots: &[Slot],
    variables: &mut Variables<B>,
    backend: &B,
    name: &str,
    values: &[B::Element],
) -> Result<()> {
    let slot = find(slots, name)?;
    if values.len() != slot.shape.len() {
        return Err(Error::invalid(format!(
            "the tensor '{name}' of shape {} takes {} numbers, got {}",
            slot.shape,
            slot.shape.len(),
            values.len()
        )));
    }
    let mut variable = variables.read(backend, &slot.variable)?;
    variable[slot.range()].copy_from_slice(values);
    Ok(variables.write(backend, &slot.variable, &variable)?)
}

/// Every tensor of a GAN.
pub(crate) fn slots(config: &GanConfig, generator: &Model, discriminator: &Model) -> Vec<Slot> {
    let averaged = config.ema.is_some();
    let mut slots = model_slots(generator, &config.generator_optimiser, averaged);
    slots.extend(model_slots(discriminator, &config.discriminator_optimiser, false));
    slots.sort_by(|a, b| a.name.cmp(&b.name));
    slots
}

/// Every tensor of a model, by name: its own, the optimiser's, and their averages where there are any.
pub(crate) fn model_slots(model: &Model, optimiser: &Optimiser, averaged: bool) -> Vec<Slot> {
    let mut slots = Vec::new();
    let name = model.name();
    let variable = names::state(name);
    for slot in model.parameters() {
        let mut add = |name: String, variable: &str, row: usize| {
            let offset = row * model.vector_len() + slot.offset;
            slots.push(Slot { name, shape: slot.shape, variable: variable.into(), offset });
        };
        let own = format!("{name}/{}", slot.name);
        for (row, moment) in optimiser.moments().iter().enumerate() {
            add(format!("optimiser/{own}/{moment}"), &variable, row + 1);
        }
        if averaged {
            add(names::average(&own), &names::average(&variable), 0);
        }
        add(own, &variable, 0);
    }
    for slot in model.states() {
        let variable = names::kept(name, &slot.name);
        for (row, (row_name, _)) in slot.rows.iter().enumerate() {
            let mut add = |name: String, variable: &str| {
                let shape = Shape::from([slot.len]);
                slots.push(Slot { name, shape, variable: variable.into(), offset: row * slot.len });
            };
            let own = format!("{name}/{}/{row_name}", slot.layer);
            if averaged {
                add(names::average(&own), &names::average(&variable));
            }
            add(own, &variable);
        }
    }
    slots.sort_by(|a, b| a.name.cmp(&b.name));
    slots
}
