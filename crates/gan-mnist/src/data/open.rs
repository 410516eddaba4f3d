//! Images that flags choose, opened.

use gannet_data::{DataSet, ImageShape, Request, Split};

use crate::arguments::DataArgs;
use crate::error::Result;
use crate::terminal::Listening;

/// The training images of a request, for a model of images of shape `model` if there is one.
pub fn open_training(request: &Request, model: Option<ImageShape>) -> Result<DataSet> {
    request
        .open(Split::Train, model, &Listening::default())?
        .ok_or_else(|| unreachable!("every set has training images"))
}

impl DataArgs {
    /// The training images, for a model of images of shape `model` if there is one. `seed` chooses colours.
    pub fn open(&self, model: Option<ImageShape>, seed: u64) -> Result<DataSet> {
        open_training(&self.request(seed), model)
    }

    /// The test images, in the same shape; nothing where the set has none.
    pub fn open_test(&self, model: Option<ImageShape>, seed: u64) -> Result<Option<DataSet>> {
        Ok(self.request(seed).open(Split::Test, model, &Listening::default())?)
    }
}
