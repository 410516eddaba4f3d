//! One picture, as a set would show it.

use std::path::Path;

use super::decode::{Levels, decode, levels, to_bytes};
use crate::error::{Error, Result};
use crate::image_shape::ImageShape;
use crate::images::Scratch;
use crate::transforms::{AreaFilter, Resize};

/// The bytes [height, width, channels] of the picture in a file, brought to `shape` as the pictures of a folder are. Errors name
/// the file and what is wrong with it.
pub fn read_picture(path: &Path, shape: ImageShape, resize: Resize) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|e| Error::cannot_read(path, &e))?;
    let image =
        decode(&bytes).map_err(|fault| Error::failure(format!("{} {}", path.display(), fault.detail)))?;
    let (height, width) = (image.height() as usize, image.width() as usize);
    let levels = levels(&image).map_or(Levels::default(), |(low, high)| Levels::of_set(low, high));
    let (picture, channels) = to_bytes(image, levels, shape.channels == 4);
    let mut pixels = vec![0; shape.len()];
    let filter = AreaFilter::resizing(ImageShape { height, width, channels }, shape, resize);
    filter.apply(&picture, &mut pixels, &mut Scratch::default());
    Ok(pixels)
}
