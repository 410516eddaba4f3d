//! Saving and loading.

use std::collections::BTreeMap;
use std::path::Path;

use gannet_tensor::{Backend, Element};
use serde::{Deserialize, Serialize};

use crate::config::{Form, GanConfig};
use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::slots::{Slot, slots};
use crate::tensor_file::{FileTensor, TensorFile, Values};

/// The version of what a file says about itself.
const VERSION: u32 = 1;

/// What a file says about itself: enough to build the GAN again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    version: u32,
    step: u64,
    /// The loss of the generator's last update, which is not in every step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generator_loss: Option<f64>,
    model: Form,
}

impl Description {
    /// That of a GAN of this configuration. Errors when the configuration could not be read again.
    pub(crate) fn new(config: &GanConfig, step: u64, generator_loss: Option<f64>) -> Result<Description> {
        config.check_described()?;
        Ok(Description { version: VERSION, step, generator_loss, model: Form::from(config) })
    }

    /// As it stands in a file.
    pub(crate) fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Config(e.to_string()))
    }
}

/// What a file of a state alone says about itself.
#[derive(Serialize)]
struct StateDescription {
    kind: &'static str,
    version: u32,
    step: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    generator_loss: Option<f64>,
}

impl StateDescription {
    /// As it stands in a file.
    fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Config(e.to_string()))
    }
}

/// The kind of a file with a state alone.
const STATE: &str = "state of a GAN";

/// What both kinds of files say of how far a run was.
#[derive(Deserialize)]
struct Progress {
    version: u32,
    step: u64,
    generator_loss: Option<f64>,
}

impl GanConfig {
    /// The configuration of the GAN that a file holds: to change it before the GAN is made (learning rates, the batch), or
    /// to make another like it. Errors when the file holds no GAN.
    pub fn of_file(file: &TensorFile) -> Result<GanConfig> {
        let text = file.description.as_ref().ok_or_else(no_model)?;
        match kind(text) {
            Some(kind) if kind == STATE => {
                return Err(Error::invalid(
                    "this file holds the state of a GAN without its configuration: make the same GAN with Gan::new and \
                     call restore",
                ));
            }
            Some(kind) => return Err(other_kind(&kind)),
            None => {}
        }
        let description: Description = read_description(text)?;
        expect_version(description.version)?;
        Ok(GanConfig::from(description.model))
    }
}

impl<B: Backend> Gan<B> {
    /// Writes everything to a safetensors file: both models, the average, the optimisers' moments, running
    /// statistics, the number of the step, and the configuration. A run that goes on from it gives the same bits as
    /// one that was never interrupted.
    ///
    /// Errors when the file cannot be written, or when it could not be read again: a layer, a loss or an optimiser of your
    /// own has to be registered ([layers](crate::layers::register), [losses](crate::losses::register),
    /// [optimisers](crate::optimisers::register)).
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.to_file()?.write(path)
    }

    /// What [`save`](Gan::save) writes. Errors as it does, or when a tensor holds a number that is not finite, which
    /// could not be loaded again.
    pub fn to_file(&mut self) -> Result<TensorFile> {
        let (step, generator_loss) = (self.step(), self.generator_loss()?);
        self.with_tensors(Description::new(self.config(), step, generator_loss)?.to_toml()?)
    }

    /// Everything of [`to_file`](Gan::to_file) but the configuration: what [`restore`](Gan::restore) takes. For models
    /// with layers, a loss or optimisers that a file cannot name: make the same GAN again, and restore its state.
    ///
    /// ```
    /// # use gannet::{Gan, Reference, presets};
    /// # let mut config = presets::get("seed-dense")?;
    /// # config.batch_size = 2;
    /// # let backend = Reference::<f32>::new();
    /// let mut gan = Gan::new(&backend, config.clone())?;
    /// gan.train_on_batch(&vec![0.5; 2 * gan.image_shape().len()], None)?;
    /// let state = gan.state()?; // or to a file and back: state.write(path)?, TensorFile::read(path)?
    ///
    /// let mut again = Gan::new(&backend, config)?;
    /// again.restore(&state)?;
    /// assert_eq!(again.step(), 1);
    /// # Ok::<(), gannet::Error>(())
    /// ```
    pub fn state(&mut self) -> Result<TensorFile> {
        let (step, generator_loss) = (self.step(), self.generator_loss()?);
        self.with_tensors(StateDescription { kind: STATE, version: VERSION, step, generator_loss }.to_toml()?)
    }

    /// A file of all tensors, that says this of itself.
    fn with_tensors(&self, description: String) -> Result<TensorFile> {
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
                    "after step {} the tensor '{}' holds {x}",
                    self.step(),
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
        let config = GanConfig::of_file(file)?;
        // The file is checked before anything as large as it says is allocated.
        let (generator, discriminator) = config.build()?;
        check(&slots(&config, &generator, &discriminator), file)?;
        let mut gan = Gan::new(backend, config)?;
        gan.restore(file)?;
        Ok(gan)
    }

    /// Goes back, or forward, to what `file` holds of the same model: [`restore`](Gan::restore), but a file that does not
    /// say how far its run was is an error.
    pub fn rewind(&mut self, file: &TensorFile) -> Result<()> {
        progress(file)?.ok_or_else(no_model)?;
        self.restore(file)
    }

    /// Overwrites every tensor by that of the same name in `file`, and goes on from the step that the file says it is of,
    /// where it does ([`state`](Gan::state) and [`to_file`](Gan::to_file) write it; for tensors that were put together
    /// otherwise, see [`set_step`](Gan::set_step)). What the configuration says of learning rates and the length of the
    /// run stays. Errors, and changes nothing, when a tensor is missing or has another shape.
    pub fn restore(&mut self, file: &TensorFile) -> Result<()> {
        let progress = progress(file)?;
        check(self.slots(), file)?;
        self.forget_losses()?;
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
        if let Some(Progress { step, generator_loss, .. }) = progress {
            self.go_on(step, generator_loss);
        }
        Ok(())
    }
}

/// The error of a file that says nothing of itself.
fn no_model() -> Error {
    Error::invalid(
        "this safetensors file holds no Gannet model: its metadata has no entry 'gannet'; expected a file that Gan::save \
         wrote",
    )
}

/// The error of a file with something else.
fn other_kind(kind: &str) -> Error {
    Error::invalid(format!("this file holds a {kind}, not a GAN; expected a file that Gan::save wrote"))
}

/// What kind of file this is, where it says so: that of a whole GAN does not.
fn kind(text: &str) -> Option<String> {
    Some(text.parse::<toml::Table>().ok()?.get("kind")?.as_str()?.to_owned())
}

fn read_description<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    toml::from_str(text)
        // Without the line that it is in: of a file's description nobody edits lines, and all layers may stand in one.
        .map_err(|e| {
            Error::invalid(format!("the description of the model in this file is damaged: {}", e.message()))
        })
}

fn expect_version(version: u32) -> Result<()> {
    match version {
        VERSION => Ok(()),
        _ => Err(Error::invalid(format!("this file has version {version}, expected version {VERSION}"))),
    }
}

/// How far the run of a file was, if it says anything of itself.
fn progress(file: &TensorFile) -> Result<Option<Progress>> {
    let Some(text) = &file.description else { return Ok(None) };
    if let Some(kind) = kind(text).filter(|kind| kind != STATE) {
        return Err(other_kind(&kind));
    }
    let progress: Progress = read_description(text)?;
    expect_version(progress.version)?;
    Ok(Some(progress))
}

/// Errors unless `file` has every tensor, in its shape, as finite numbers.
pub(crate) fn check(slots: &[Slot], file: &TensorFile) -> Result<()> {
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
pub(crate) fn at(path: &Path, error: Error) -> Error {
    match error {
        Error::Io { .. } | Error::File { .. } | Error::Tensor(_) => error,
        other => Error::file(path, other.to_string()),
    }
}
