//! One picture, as a set would show it.

use std::path::Path;

use image::DynamicImage;

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
    let levels = levels(&image).map_or(Levels::default(), |(low, high)| Levels::of_set(low, high));
    let mut pixels = vec![0; shape.len()];
    fit(image, levels, shape, resize, &mut pixels, &mut Scratch::default());
    Ok(pixels)
}

/// Writes the bytes of a decoded picture, brought to `shape`, into `pixels`.
pub(super) fn fit(
    image: DynamicImage,
    levels: Levels,
    shape: ImageShape,
    resize: Resize,
    pixels: &mut [u8],
    scratch: &mut Scratch,
) {
    let (height, width) = (image.height() as usize, image.width() as usize);
    let (picture, channels) = to_bytes(image, levels, shape.channels == 4);
    AreaFilter::resizing(ImageShape { height, width, channels }, shape, resize)
        .apply(&picture, pixels, scratch);
}
