//! Saving and loading.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use gannet_tensor::{Backend, Element, Shape};
use serde::{Deserialize, Serialize};

use crate::config::{Form, GanConfig};
use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::model::Model;
use crate::step::names;
use crate::tensor_file::{FileTensor, TensorFile, Values};

/// The version of what a file says about itself.
const VERSION: u32 = 1;

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

/// Every tensor of a GAN.
pub(crate) fn slots(config: &GanConfig, generator: &Model, discriminator: &Model) -> Vec<Slot> {
    let mut slots = Vec::new();
    let models = [(generator, &config.generator_optimiser), (discriminator, &config.discriminator_optimiser)];
    for (model, optimiser) in models {
        let name = model.name();
        let averaged = config.ema.is_some() && name == generator.name();
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
    }
    slots.sort_by(|a, b| a.name.cmp(&b.name));
    slots
}

/// What a file says about itself: enough to build the GAN again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    version: u32,
    step: u64,
    /// The loss of the generator's last update, which is not in every step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generator_loss: Option<f64>,
    model: Form,
}

impl<B: Backend> Gan<B> {
    /// Writes everything to a safetensors file: both models, the average, the optimisers' moments, running
    /// statistics, the number of the step, and the configuration. A run that goes on from it gives the same bits as
    /// one that was never interrupted.
    ///
    /// Errors when the file cannot be written, or, naming the layer, when one could not be read again: one of your own has
    /// to be [registered](crate::layers::register).
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.to_file()?.write(path)
    }

    /// What [`save`](Gan::save) writes. Errors when a layer could not be read again, or when a tensor holds a number
    /// that is not finite, which could not be loaded.
    pub fn to_file(&mut self) -> Result<TensorFile> {
        self.config().check_described()?;
        let (step, generator_loss) = (self.step(), self.generator_loss()?);
        let description =
            Description { version: VERSION, step, generator_loss, model: Form::from(self.config()) };
        let description = toml::to_string(&description).map_err(|e| Error::Config(e.to_string()))?;
        let mut variables: BTreeMap<&str, Vec<B::Element>> = BTreeMap::new();
        let mut tensors = Vec::new();
        for slot in self.slots() {
            if !variables.contains_key(slot.variable.as_str()) {
                let values = self.variables().read(self.backend(), &slot.variable)?;
                variables.insert(&slot.variable, values);
            }
            let values = &variables[slot.variable.as_str()][slot.range()];
            if let Some(x) = values.iter().map(|x| x.to_f64()).find(|x| !x.is_finite()) {
                return Err(Error::Diverged(format!(
                    "after step {step} the tensor '{}' holds {x}",
                    slot.name
                )));
            }
            tensors.push(FileTensor {
                name: slot.name.clone(),
                shape: slot.shape.dims().to_vec(),
                values: Values::of(values),
            });
        }
        Ok(TensorFile { description: Some(description), tensors })
    }

    /// Builds a GAN from a file that [`save`](Gan::save) wrote. Errors say what the file is and what was expected.
    pub fn load(backend: &B, path: impl AsRef<Path>) -> Result<Gan<B>> {
        let path = path.as_ref();
        Gan::from_file(backend, &TensorFile::read(path)?).map_err(|e| at(path, e))
    }

    /// [`load`](Gan::load) from a file in memory.
    pub fn from_file(backend: &B, file: &TensorFile) -> Result<Gan<B>> {
        let description = describe(file)?;
        let config = GanConfig::from(description.model);
        // The file is checked before anything as large as it says is allocated.
        let (generator, discriminator) = config.build()?;
        check(&slots(&config, &generator, &discriminator), file)?;
        let mut gan = Gan::new(backend, config)?;
        gan.restore(file)?;
        gan.go_on(description.step, description.generator_loss);
        Ok(gan)
    }

    /// Goes back, or forward, to what `file` holds of the same model: its tensors and the number of its step. What the
    /// configuration says of learning rates and the length of the run stays. Errors, and changes nothing, as
    /// [`restore`](Gan::restore) does.
    pub fn rewind(&mut self, file: &TensorFile) -> Result<()> {
        let description = describe(file)?;
        self.forget_losses()?;
        self.restore(file)?;
        self.go_on(description.step, description.generator_loss);
        Ok(())
    }

    /// Overwrites every tensor by that of the same name in `file`. Errors, and changes nothing, when one is missing or
    /// has another shape. For models with layers that a file cannot describe.
    pub fn restore(&mut self, file: &TensorFile) -> Result<()> {
        check(self.slots(), file)?;
        let mut variables: BTreeMap<String, Vec<B::Element>> = BTreeMap::new();
        for slot in self.slots() {
            if !variables.contains_key(&slot.variable) {
                let values = self.variables().read(self.backend(), &slot.variable)?;
                variables.insert(slot.variable.clone(), values);
            }
            if let (Some(variable), Some(tensor)) =
                (variables.get_mut(&slot.variable), file.tensor(&slot.name))
            {
                variable[slot.range()].copy_from_slice(&tensor.values.to::<B::Element>());
            }
        }
        for (name, values) in variables {
            self.variables().write(self.backend(), &name, &values)?;
        }
        Ok(())
    }
}

/// What a file says about itself.
fn describe(file: &TensorFile) -> Result<Description> {
    let text = file.description.as_ref().ok_or_else(|| {
            Error::invalid(
                "this safetensors file holds no Gannet model: its metadata has no entry 'gannet'; expected a file \
                 that Gan::save wrote",
            )
        })?;
    if let Some(kind) =
        text.parse::<toml::Table>().ok().and_then(|t| Some(t.get("kind")?.as_str()?.to_owned()))
    {
        return Err(Error::invalid(format!(
            "this file holds a {kind}, not a GAN; expected a file that Gan::save wrote"
        )));
    }
    let description: Description = toml::from_str(text)
        .map_err(|e| Error::invalid(format!("the description of the model in this file is damaged: {e}")))?;
    if description.version != VERSION {
        return Err(Error::invalid(format!(
            "this file has version {}, expected version {VERSION}",
            description.version
        )));
    }
    Ok(description)
}

/// Errors unless `file` has every tensor, in its shape, as finite numbers.
fn check(slots: &[Slot], file: &TensorFile) -> Result<()> {
    for slot in slots {
        let Some(tensor) = file.tensor(&slot.name) else {
            return Err(Error::invalid(format!("the tensor '{}' is missing in this file", slot.name)));
        };
        if tensor.shape != slot.shape.dims() {
            return Err(Error::invalid(format!(
                "the tensor '{}' has the shape {:?} in this file, the model needs {}",
                slot.name, tensor.shape, slot.shape
            )));
        }
        if let Some(x) = tensor.values.to::<f64>().iter().find(|x| !x.is_finite()) {
            return Err(Error::invalid(format!("the tensor '{}' holds {x} in this file", slot.name)));
        }
    }
    Ok(())
}

/// An error about a file, with its path.
fn at(path: &Path, error: Error) -> Error {
    match error {
        Error::Io { .. } | Error::File { .. } | Error::Tensor(_) => error,
        other => Error::file(path, other.to_string()),
    }
}
