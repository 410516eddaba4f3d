//! Images to score that came from somewhere else than a model at hand.

use std::path::Path;

use gannet::metrics::quantise;
use gannet::tensor_file::{TensorFile, Values};
use gannet_data::ImageShape;

use crate::error::{Error, Result};
use crate::picture::Picture;

/// What [`quantise`] takes for a pixel may lie outside [-1, 1] by rounding, not by as much as this.
const LARGEST_PIXEL: f32 = 1.5;

/// Images of bytes, with the class of each where it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSet {
    /// [N, height, width, channels].
    pub pixels: Vec<u8>,
    /// `[N]`.
    pub labels: Option<Vec<u32>>,
}

impl ImageSet {
    /// Reads images of this `shape`: from a safetensors file with `images` [N, H, W, C] (f32 in [-1, 1], or bytes) and
    /// perhaps `labels` `[N]` of bytes, as `generate` writes it; or from a folder of PNG, in the order of their names,
    /// with classes where every name ends in `class-K.png`. Errors name the file, and what would be right.
    pub fn read(path: &Path, shape: ImageShape) -> Result<Self> {
        if path.is_dir() { Self::read_folder(path, shape) } else { Self::read_tensors(path, shape) }
    }

    /// The number of images.
    pub fn len(&self, shape: ImageShape) -> usize {
        self.pixels.len() / shape.len()
    }

    /// Leaves the first `count` alone.
    pub fn truncate(&mut self, count: usize, shape: ImageShape) {
        self.pixels.truncate(count * shape.len());
        if let Some(labels) = &mut self.labels {
            labels.truncate(count);
        }
    }

    fn read_tensors(path: &Path, shape: ImageShape) -> Result<Self> {
        let wrong = |what: String| Error::failure(format!("{}: {what}", path.display()));
        let file = TensorFile::read(path)?;
        let ImageShape { height, width, channels } = shape;
        let Some(images) = file.tensor("images") else {
            return Err(wrong(format!(
                "has no tensor `images`, expected one of shape [N, {height}, {width}, {channels}]"
            )));
        };
        let count = match images.shape[..] {
            [count, h, w, c] if count > 0 && [h, w, c] == [height, width, channels] => count,
            _ => {
                return Err(wrong(format!(
                    "`images` has the shape {:?}, expected [N, {height}, {width}, {channels}]",
                    images.shape
                )));
            }
        };
        let pixels = match &images.values {
            Values::U8(bytes) => bytes.clone(),
            Values::F32(values) => {
                let stray = values.iter().position(|x| !x.is_finite() || x.abs() > LARGEST_PIXEL);
                if let Some(at) = stray {
                    let (image, value) = (at / shape.len(), values[at]);
                    return Err(wrong(format!(
                        "image {image} of `images` holds {value}; numbers must be from -1 (black) to 1 (white), or bytes"
                    )));
                }
                values.iter().copied().map(quantise).collect()
            }
            Values::F64(_) => return Err(wrong("`images` has the type F64, expected F32 or U8".into())),
        };
        let labels = match file.tensor("labels") {
            None => None,
            Some(labels) => match &labels.values {
                Values::U8(values) if labels.shape == [count] => {
                    Some(values.iter().map(|&label| label.into()).collect())
                }
                // More than 256 classes do not fit into bytes.
                Values::F32(values)
                    if labels.shape == [count]
                        && values
                            .iter()
                            .all(|&label| (0.0..1e7).contains(&label) && label.fract() == 0.0) =>
                {
                    Some(values.iter().map(|&label| label as u32).collect())
                }
                _ => {
                    return Err(wrong(format!(
                        "`labels` must be {count} bytes, or whole numbers as F32, one for each image"
                    )));
                }
            },
        };
        Ok(ImageSet { pixels, labels })
    }

    fn read_folder(path: &Path, shape: ImageShape) -> Result<Self> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|e| Error::cannot_read(path, &e))? {
            let file = entry.map_err(|e| Error::cannot_read(path, &e))?.path();
            if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
                files.push(file);
            }
        }
        if files.is_empty() {
            let path = path.display();
            return Err(Error::failure(format!("{path}: there is no PNG in this folder")));
        }
        files.sort();
        let mut pixels = Vec::with_capacity(files.len() * shape.len());
        for file in &files {
            let picture = match shape.channels {
                4 => Picture::load_png_with_alpha(file)?,
                _ => Picture::load_png(file)?,
            };
            if picture.shape != shape {
                let (is, needed) = (picture.shape, shape);
                return Err(Error::failure(format!(
                    "{}: the picture is {}x{}x{}, the data set has {}x{}x{}",
                    file.display(),
                    is.height,
                    is.width,
                    is.channels,
                    needed.height,
                    needed.width,
                    needed.channels
                )));
            }
            pixels.extend_from_slice(&picture.pixels);
        }
        let class = |file: &std::path::PathBuf| -> Option<u32> {
            file.file_stem()?.to_str()?.rsplit_once("class-")?.1.parse().ok()
        };
        Ok(ImageSet { pixels, labels: files.iter().map(class).collect() })
    }
}
