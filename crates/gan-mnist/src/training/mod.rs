//! Training a run: the loop, what looks on, what is kept on the disk meanwhile.
//!
//! A [`Session`] owns a GAN, its batches and its run directory, and trains until the run ends. Everything else that
//! happens meanwhile (losses.csv, sample grids, metrics, warnings) is an [`Observer`]: adding one means a file beside
//! this one and a line in [`observers`].

mod batches;
mod log;
mod losses_csv;
mod observer;
mod sample_files;
mod sampler;
mod session;

pub use batches::Batches;
pub use log::Log;
pub use losses_csv::LossesCsv;
pub use observer::{End, Next, Observer, Outcome, Samples, Step, Trained};
pub use sample_files::SampleFiles;
pub use sampler::{SAMPLES, Sampler, classes_in_turn, columns, image_shape};
pub use session::Session;

use gannet::{Backend, Gan};

use crate::data::LabelledImages;
use crate::error::{Error, Result};
use crate::picture::ImageShape;
use crate::run_directory::RunDirectory;

/// What looks on at every run, in the order in which it is told.
pub fn observers(run: &RunDirectory) -> Vec<Box<dyn Observer>> {
    vec![Box::new(LossesCsv::new(run)), Box::new(SampleFiles::new(run))]
}

/// Errors unless the model is one for these images.
pub fn check_fit<B: Backend>(gan: &Gan<B>, data: &LabelledImages) -> Result<()> {
    let ImageShape { height, width, channels } = data.shape();
    let shape = [height, width, channels];
    if gan.image_shape().dims() != shape {
        let model = gan.image_shape();
        return Err(Error::failure(format!(
            "the model makes images of shape {model}, the data has {shape:?}"
        )));
    }
    if let Some(classes) = gan.classes()
        && classes != data.classes()
    {
        let found = data.classes();
        return Err(Error::failure(format!("the model has {classes} classes, the data has {found}")));
    }
    Ok(())
}
