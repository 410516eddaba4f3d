//! The batches that a GAN is trained on.

use gannet::{Backend, Gan, partition};
use gannet_data::{Batches, DataSet, ImageShape, Scratch};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Batches as `gan` is trained on them, of its size and seed, the first of which comes after `position` images. Where the
/// model tells clusters of the data, their labels stand in the place of the classes. Errors when an image cannot be read.
pub fn batches_of<B: Backend>(gan: &Gan<B>, data: &DataSet, position: u64) -> Result<Batches> {
    let config = gan.config();
    let batches = Batches::new(data, config.batch_size, config.seed, position);
    Ok(match labels_of(gan, data)? {
        Some(labels) => batches.with_labels(labels),
        None => batches,
    })
}

/// The labels of all images `[N]` that `gan` is told in the place of their classes, where it tells clusters of the data.
pub(crate) fn labels_of<B: Backend>(gan: &Gan<B>, data: &DataSet) -> Result<Option<Vec<u32>>> {
    let clusters = gan.config().clusters;
    (clusters > 1).then(|| cluster_labels(data, gan.classes(), clusters)).transpose()
}

/// The label of each image `[N]` for a model that tells `clusters` clusters of each of its classes.
fn cluster_labels(data: &DataSet, classes: Option<usize>, clusters: usize) -> Result<Vec<u32>> {
    let ImageShape { height, width, channels } = data.shape();
    let size = data.shape().len();
    let mut pixels = vec![0; data.len() * size];
    let mut labels = vec![0; data.len()];
    let images = data.images();
    pixels.par_chunks_exact_mut(size).zip(&mut labels).enumerate().try_for_each_init(
        Scratch::default,
        |scratch, (index, (pixels, label))| {
            *label = images.read(index, pixels, scratch)?;
            Ok::<(), Error>(())
        },
    )?;
    let classes = classes.map(|classes| (&labels[..], classes));
    Ok(partition(&pixels, [height, width, channels], classes, clusters)?)
}
