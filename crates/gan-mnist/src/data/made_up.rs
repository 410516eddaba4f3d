//! Images that nobody took: noise of the shape that a model asks for.

use std::sync::Arc;

use gannet::{GanConfig, Stream};
use gannet_data::{DataSet, LabelledImages};

use super::fit::{images_of, told_classes};
use crate::error::{Error, Result};

/// Labels are bytes.
const MOST_CLASSES: usize = 256;

/// Noise for a model, as many images as it needs at least: a batch, and two for each cluster of each class. What a training step
/// takes does not depend on what it sees, so that any model can be measured without data. Errors when it is not for images.
pub fn made_up(config: &GanConfig) -> Result<DataSet> {
    let shape = images_of(config)?.ok_or_else(|| {
        Error::failure(format!(
            "{} is not for images: its discriminator takes no [height, width, channels]",
            config.name
        ))
    })?;
    let classes = told_classes(config)?;
    if classes.is_some_and(|classes| classes > MOST_CLASSES) {
        return Err(Error::failure(format!(
            "{} has {} classes; at most {MOST_CLASSES} can be made up",
            config.name,
            classes.unwrap_or_default()
        )));
    }
    let count = config.batch_size.max(2 * classes.unwrap_or(1) * config.clusters);
    let mut stream = Stream::new(config.seed, "made up", 0);
    let pixels = (0..count * shape.len()).map(|_| stream.below(256) as u8).collect();
    let images = match classes {
        Some(classes) => {
            let labels = (0..count).map(|i| (i % classes) as _).collect();
            LabelledImages::labelled(shape, pixels, labels, classes)
        }
        None => LabelledImages::unlabelled(shape, pixels),
    };
    Ok(DataSet::of_images("noise", Arc::new(images)))
}

#[cfg(test)]
mod tests {
    use gannet::presets;

    use super::*;

    #[test]
    fn every_preset_finds_images_that_fit() {
        for name in presets::names() {
            let config = presets::get(name).unwrap();
            let data = made_up(&config).unwrap();
            assert_eq!(Some(data.shape()), images_of(&config).unwrap(), "{name}");
            assert_eq!(data.classes(), told_classes(&config).unwrap(), "{name}");
            assert!(data.len() >= config.batch_size, "{name}");
        }
    }
}
