//! Images that flags choose, opened.

use gannet_data::{DataSet, ImageShape, Split};

use crate::arguments::DataArgs;
use crate::error::Result;
use crate::terminal::Listening;

impl DataArgs {
    /// The training images, for a model of images of shape `model` if there is one. `seed` chooses colours.
    pub fn open(&self, model: Option<ImageShape>, seed: u64) -> Result<DataSet> {
        self.request(seed)
            .open(Split::Train, model, &Listening::default())?
            .ok_or_else(|| unreachable!("every set has training images"))
    }

    /// The test images, in the same shape; nothing where the set has none.
    pub fn open_test(&self, model: Option<ImageShape>, seed: u64) -> Result<Option<DataSet>> {
        Ok(self.request(seed).open(Split::Test, model, &Listening::default())?)
    }
}
