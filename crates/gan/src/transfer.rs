//! Beginning from what another GAN has learnt.

use gannet_tensor::Backend;

use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::names;
use crate::slots::Slot;
use crate::tensor_file::TensorFile;

/// What begins the names of an optimiser's tensors.
const OPTIMISER: &str = "optimiser/";

impl<B: Backend> Gan<B> {
    /// Begins from the weights of another GAN (fine-tuning): every tensor of the models, their statistics and averages
    /// that `file` has in the same shape under the same name is taken; the others stay as they are. Returns the names of
    /// those. The step and the optimisers' moments begin anew: moments belong to the number of updates that they are
    /// averages of, and under the correction of a first update old ones would count many times.
    ///
    /// Errors, and changes nothing, when the file holds nothing that fits, or numbers that are not finite.
    ///
    /// ```
    /// # use gannet::{Gan, GanConfig, Reference, Sequential, layers::Dense};
    /// # let backend = Reference::<f32>::new();
    /// let discriminator = || Sequential::new("discriminator", [2]).add(Dense::new(4)).add(Dense::new(1));
    /// let small = Sequential::new("generator", [3]).add(Dense::new(4)).add(Dense::new(2));
    /// let mut learnt = Gan::new(&backend, GanConfig::new(small, discriminator()))?;
    /// // The same but for its first layer.
    /// let wide = Sequential::new("generator", [5]).add(Dense::new(4)).add(Dense::new(2));
    /// let mut gan = Gan::new(&backend, GanConfig::new(wide, discriminator()))?;
    /// assert_eq!(gan.begin_from(&learnt.to_file()?)?, ["generator/0.dense/kernel"]);
    /// # Ok::<(), gannet::Error>(())
    /// ```
    pub fn begin_from(&mut self, file: &TensorFile) -> Result<Vec<String>> {
        let mut fresh = Vec::new();
        let mut found: Vec<(Slot, Vec<B::Element>)> = Vec::new();
        for slot in self.slots().iter().filter(|slot| !slot.name.starts_with(OPTIMISER)) {
            // Who kept no average begins it with the weights themselves.
            let own = slot.name.strip_prefix(&names::average("")).unwrap_or(&slot.name);
            let tensor = file.tensor(&slot.name).or_else(|| file.tensor(own));
            match tensor.filter(|tensor| tensor.shape == slot.shape.dims()) {
                Some(tensor) => {
                    if let Some(x) = tensor.values.to::<f64>().iter().find(|x| !x.is_finite()) {
                        let name = &tensor.name;
                        return Err(Error::invalid(format!("the tensor '{name}' holds {x} in this file")));
                    }
                    found.push((slot.clone(), tensor.values.to()));
                }
                None => fresh.push(slot.name.clone()),
            }
        }
        if found.is_empty() {
            return Err(Error::invalid(
                "nothing in this file fits: it has none of the model's tensors in the same shape",
            ));
        }
        self.forget_losses()?;
        for (slot, values) in found {
            self.write_tensor(&slot.name, &values)?;
        }
        Ok(fresh)
    }
}
