//! Saving and loading single models.

use std::collections::BTreeMap;
use std::path::Path;

use gannet_tensor::{Backend, Element};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{at, check};
use crate::compiled::{self, Compiled};
use crate::error::{Error, Result};
use crate::initialiser::Initialiser;
use crate::layers::Entry;
use crate::objective::Objective;
use crate::optimisers::Optimiser;
use crate::schedule::Schedule;
use crate::sequential::Sequential;
use crate::slots::model_slots;
use crate::tensor_file::{FileTensor, TensorFile, Values};

const KIND: &str = "model";

/// The version of what a file says about itself.
const VERSION: u32 = 1;

/// What a file says about itself: enough to compile the model again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    kind: String,
    version: u32,
    updates: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steps: Option<u64>,
    #[serde(default)]
    schedule: Schedule,
    objective: Objective,
    optimiser: Optimiser,
    name: String,
    input: Vec<usize>,
    initialiser: Initialiser,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    frozen: Vec<String>,
    layers: Vec<Entry>,
}

impl Description {
    /// As it stands in a file.
    fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Config(e.to_string()))
    }
}

impl<B: Backend> Compiled<B> {
    /// Writes everything to a safetensors file: weights, running statistics, the optimiser's moments, the number of
    /// updates, and the model itself. Training that goes on from it gives the same bits as one that was never
    /// interrupted.
    ///
    /// Errors when the file cannot be written, when a number is not finite, or, naming the layer, when one could not be
    /// read again: one of your own has to be [registered](crate::layers::register).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.to_file()?.write(path)
    }

    /// What [`save`](Compiled::save) writes.
    pub fn to_file(&self) -> Result<TensorFile> {
        self.sequential.check_described()?;
        let description = Description {
            kind: KIND.into(),
            version: VERSION,
            updates: self.updates,
            steps: self.steps,
            schedule: self.schedule,
            objective: self.objective,
            optimiser: self.optimiser.clone(),
            name: self.sequential.name.clone(),
            input: self.sequential.input.clone(),
            initialiser: self.sequential.initialiser,
            frozen: self.sequential.frozen.clone(),
            layers: self.sequential.layers.iter().cloned().map(Entry).collect(),
        };
        let description = description.to_toml()?;
        let mut variables: BTreeMap<&str, Vec<B::Element>> = BTreeMap::new();
        let mut tensors = Vec::new();
        for slot in &self.slots {
            if !variables.contains_key(slot.variable.as_str()) {
                let values = self.variables.read(&self.backend, &slot.variable)?;
                variables.insert(&slot.variable, values);
            }
            let values = &variables[slot.variable.as_str()][slot.range()];
            if let Some(x) = values.iter().map(|x| x.to_f64()).find(|x| !x.is_finite()) {
                return Err(Error::Diverged(format!(
                    "after {} updates the tensor '{}' holds {x}",
                    self.updates, slot.name
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

    /// Compiles the model of a file that [`save`](Compiled::save) wrote. Errors say what the file is and what was
    /// expected.
    pub fn load(backend: &B, path: impl AsRef<Path>) -> Result<Compiled<B>> {
        let path = path.as_ref();
        Compiled::from_file(backend, &TensorFile::read(path)?).map_err(|e| at(path, e))
    }

    /// [`load`](Compiled::load) from a file in memory.
    pub fn from_file(backend: &B, file: &TensorFile) -> Result<Compiled<B>> {
        let description = describe(file)?;
        let sequential = Sequential {
            name: description.name,
            input: description.input,
            layers: description.layers.into_iter().map(|entry| entry.0).collect(),
            initialiser: description.initialiser,
            frozen: description.frozen,
        };
        // The file is checked before anything as large as it says is allocated.
        let model = sequential.build()?;
        compiled::check(&model, description.objective, &description.optimiser)?;
        check(&model_slots(&model, &description.optimiser, false), file)?;
        let mut compiled =
            Compiled::new(backend, sequential, description.objective, description.optimiser, 0)?;
        compiled.set_schedule(description.schedule, description.steps.unwrap_or(0))?;
        compiled.steps = description.steps;
        compiled.restore(file)?;
        compiled.updates = description.updates;
        Ok(compiled)
    }

    /// Overwrites every tensor by that of the same name in `file`. Errors, and changes nothing, when one is missing or
    /// has another shape.
    pub fn restore(&mut self, file: &TensorFile) -> Result<()> {
        check(&self.slots, file)?;
        let mut variables: BTreeMap<&str, Vec<B::Element>> = BTreeMap::new();
        for slot in &self.slots {
            if !variables.contains_key(slot.variable.as_str()) {
                let values = self.variables.read(&self.backend, &slot.variable)?;
                variables.insert(&slot.variable, values);
            }
            if let (Some(variable), Some(tensor)) =
                (variables.get_mut(slot.variable.as_str()), file.tensor(&slot.name))
            {
                variable[slot.range()].copy_from_slice(&tensor.values.to::<B::Element>());
            }
        }
        for (name, values) in variables {
            self.variables.write(&self.backend, name, &values)?;
        }
        Ok(())
    }
}

/// What a file says about itself.
fn describe(file: &TensorFile) -> Result<Description> {
    let is_none = |why: String| {
        Error::invalid(format!(
            "this file holds no single model: {why}; expected a file that Compiled::save wrote"
        ))
    };
    let text = file.description.as_ref();
    let text = text.ok_or_else(|| is_none("its metadata has no entry 'gannet'".into()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| is_none(format!("its description is damaged ({})", e.message())))?;
    match table.get("kind").and_then(|kind| kind.as_str()) {
        Some(KIND) => {}
        Some(kind) => return Err(is_none(format!("it is a {kind}"))),
        None => return Err(is_none("it is a GAN".into())),
    }
    let description: Description = toml::from_str(text)
        // Without the line that it is in: of a file's description nobody edits lines, and all layers may stand in one.
        .map_err(|e| {
            Error::invalid(format!("the description of the model in this file is damaged: {}", e.message()))
        })?;
    if description.version != VERSION {
        return Err(Error::invalid(format!(
            "this file has version {}, expected version {VERSION}",
            description.version
        )));
    }
    Ok(description)
}
