//! An opened set of images, and what a run writes down of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::formats::{cifar, folder, idx_files};
use crate::image_shape::ImageShape;
use crate::images::Images;
use crate::listener::Listener;
use crate::named_set::NamedSet;
use crate::sets::archived::{CIFAR10, EMNIST_DIGITS};
use crate::sets::cached::{FASHION, KMNIST};
use crate::split::Split;
use crate::stored::Stored;
use crate::transforms::{Coloured, Resized};

/// One part of a set of images, opened.
#[derive(Debug, Clone)]
pub struct DataSet {
    images: Arc<dyn Images>,
    record: DataRecord,
}

/// What a run writes down of its images, so that it can open the same ones again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecord {
    /// The name of the set; without one there is a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// The file or folder, absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// How many images there are.
    pub images: usize,
    /// Rows of pixels, as they are trained on.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Numbers per pixel.
    pub channels: usize,
    /// How many classes the labels tell apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Whether images are mirrored at random.
    pub flip: bool,
    /// What drawn colours follow from.
    pub seed: u64,
    /// What the files hold: see the messages when it differs. Large files enter by samples.
    pub sha256: String,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where the images are.
    pub source: Source,
    /// Height and width to bring them to; as they are, or as a model needs them, without.
    pub size: Option<(usize, usize)>,
    /// Channels to bring them to, 1 or 3.
    pub channels: Option<usize>,
    /// What drawn colours follow from.
    pub seed: u64,
}

/// Where images are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a set that has a name.
    Named(NamedSet),
    /// In a file or a folder.
    Path(PathBuf),
}

impl Request {
    /// The images of `source` as they are.
    pub fn new(source: Source) -> Self {
        Request { source, size: None, channels: None, seed: 0 }
    }

    /// Opens one part for a model of images of shape `model`, if there is one; nothing where the set has no such part.
    /// `listener` hears what takes a while. Errors name the file, and say what would be right.
    pub fn open(
        &self,
        split: Split,
        model: Option<ImageShape>,
        listener: &dyn Listener,
    ) -> Result<Option<DataSet>> {
        let stored = match &self.source {
            Source::Named(NamedSet::Mnist) => Some(open_mnist(split)?),
            Source::Named(NamedSet::Colour) => {
                let Stored { images, sha256 } = open_mnist(split)?;
                Some(Stored { images: Arc::new(Coloured::new(images, self.seed)), sha256 })
            }
            Source::Named(NamedSet::Fashion) => Some(FASHION.open(split, listener)?),
            Source::Named(NamedSet::Kmnist) => Some(KMNIST.open(split, listener)?),
            Source::Named(NamedSet::EmnistDigits) => Some(EMNIST_DIGITS.open(split, listener)?),
            Source::Named(NamedSet::Cifar10) => Some(CIFAR10.open(split, listener)?),
            Source::Path(path) => self.open_path(path, split, model)?,
        };
        let Some(Stored { images, sha256 }) = stored else { return Ok(None) };
        let shape = self.target(images.shape(), model);
        let ImageShape { height, width, channels } = shape;
        let images = Resized::of(images, shape);
        let (dataset, path) = match &self.source {
            Source::Named(set) => (Some(set.name().to_string()), None),
            Source::Path(path) => (None, Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()))),
        };
        let record = DataRecord {
            dataset,
            path,
            images: images.len(),
            height,
            width,
            channels,
            classes: images.classes(),
            flip: false,
            seed: self.seed,
            sha256,
        };
        Ok(Some(DataSet { images, record }))
    }

    /// The shape that images of the shape `native` come in.
    fn target(&self, native: ImageShape, model: Option<ImageShape>) -> ImageShape {
        let (height, width) = self.size.unwrap_or((native.height, native.width));
        // Grey digits fit a model of three channels as they are.
        let widened = native.channels == 1 && model.is_some_and(|model| model.channels == 3);
        let channels = self.channels.unwrap_or(if widened { 3 } else { native.channels });
        ImageShape { height, width, channels }
    }

    /// Looks what there is: IDX files, CIFAR-10 batches or pictures.
    fn open_path(&self, path: &Path, split: Split, model: Option<ImageShape>) -> Result<Option<Stored>> {
        if !path.exists() {
            return Err(Error::failure(format!("{}: there is no such file or folder", path.display())));
        }
        if !path.is_dir() {
            return match (path.extension().is_some_and(|ending| ending == "bin"), split) {
                (true, Split::Train) => cifar::open(&[path.to_path_buf()]).map(Some),
                (true, Split::Test) => Ok(None),
                (false, split) => idx_files::open(path, split),
            };
        }
        let found = match (idx_files::open(path, split)?, cifar::find(path, split)?) {
            (Some(stored), _) => Some(stored),
            (None, batches) if !batches.is_empty() => Some(cifar::open(&batches)?),
            // Pictures may have any size: those of the model, where nothing else is asked for.
            (None, _) => folder::open(path, split, |native| {
                let size = model.filter(|_| self.size.is_none()).unwrap_or(native);
                self.target(ImageShape { channels: native.channels, ..size }, model)
            })?,
        };
        if found.is_some() || split == Split::Test {
            return Ok(found);
        }
        Err(Error::failure(format!(
            "{}: has no images: expected train-images-idx3-ubyte (packed as .gz or not), data_batch_1.bin, pictures \
             (.png, .jpg, .jpeg, .webp), or folders of pictures, one for each class",
            path.display()
        )))
    }
}

#[cfg(feature = "mnist")]
fn open_mnist(split: Split) -> Result<Stored> {
    use crate::fingerprint::Fingerprint;
    use crate::sets::mnist;

    let mut fingerprint = Fingerprint::default();
    fingerprint.text(mnist::SHA256SUMS);
    Ok(Stored { images: Arc::new(mnist::load(split)?), sha256: fingerprint.finish() })
}

#[cfg(not(feature = "mnist"))]
fn open_mnist(_: Split) -> Result<Stored> {
    Err(Error::failure("this build has no digits (the feature 'mnist' is off): name a folder that has them"))
}

impl DataSet {
    /// Images that are already there, under a name of their own.
    pub fn of_images(name: &str, images: Arc<dyn Images>) -> Self {
        let shape = images.shape();
        let record = DataRecord {
            dataset: Some(name.to_string()),
            path: None,
            images: images.len(),
            height: shape.height,
            width: shape.width,
            channels: shape.channels,
            classes: images.classes(),
            flip: false,
            seed: 0,
            sha256: String::new(),
        };
        DataSet { images, record }
    }

    /// The same, mirrored at random or not.
    pub fn with_flip(mut self, flip: bool) -> Self {
        self.record.flip = flip;
        self
    }

    /// The images.
    pub fn images(&self) -> &Arc<dyn Images> {
        &self.images
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are none; no set that has been opened is empty.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The size of each image.
    pub fn shape(&self) -> ImageShape {
        self.images.shape()
    }

    /// How many classes the labels tell apart; nothing where images have no labels.
    pub fn classes(&self) -> Option<usize> {
        self.images.classes()
    }

    /// Whether training images are mirrored at random.
    pub fn flip(&self) -> bool {
        self.record.flip
    }

    /// What a run writes down.
    pub fn record(&self) -> &DataRecord {
        &self.record
    }

    /// What to call it: `mnist`, or a path.
    pub fn name(&self) -> String {
        self.record.name()
    }
}

impl DataRecord {
    /// What to call the set: `mnist`, or a path.
    pub fn name(&self) -> String {
        match (&self.dataset, &self.path) {
            (Some(name), _) => name.clone(),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => "images".into(),
        }
    }

    /// The training images again. Errors when they are not there any more, or are others.
    pub fn open(&self, listener: &dyn Listener) -> Result<DataSet> {
        let name = self.name();
        let data = self.request()?.open(Split::Train, None, listener)?;
        let data = data.ok_or_else(|| Error::failure(format!("{name}: has no training images any more")))?;
        let data = data.with_flip(self.flip);
        let changed = |what: &str, was: &dyn std::fmt::Display, is: &dyn std::fmt::Display| {
            Error::failure(format!(
                "the images in {name} have changed since the run began: {what} was {was} and is {is}; a run goes on \
                 only with the images that it was started with"
            ))
        };
        let found = data.record();
        if found.images != self.images {
            return Err(changed("their number", &self.images, &found.images));
        }
        if found.sha256 != self.sha256 {
            let short = |digest: &str| digest.chars().take(16).collect::<String>();
            return Err(changed("the sha256 of the data", &short(&self.sha256), &short(&found.sha256)));
        }
        if found != self {
            return Err(Error::failure(format!("the images in {name} cannot be opened as the run had them")));
        }
        Ok(data)
    }

    /// The test images of the same set in the same shape; nothing where it has none.
    pub fn open_test(&self, listener: &dyn Listener) -> Result<Option<DataSet>> {
        self.request()?.open(Split::Test, None, listener)
    }

    fn request(&self) -> Result<Request> {
        let source = match (&self.dataset, &self.path) {
            (Some(name), _) => Source::Named(name.parse()?),
            (None, Some(path)) => Source::Path(path.clone()),
            (None, None) => return Err(Error::failure("the settings name neither a data set nor a path")),
        };
        Ok(Request {
            source,
            size: Some((self.height, self.width)),
            channels: Some(self.channels),
            seed: self.seed,
        })
    }
}

#[cfg(all(test, feature = "mnist"))]
mod tests {
    use super::*;
    use crate::listener::Silent;

    fn open(request: &Request, model: Option<ImageShape>) -> DataSet {
        request.open(Split::Train, model, &Silent).unwrap().unwrap()
    }

    #[test]
    fn what_is_written_down_opens_the_same_images() {
        let source = Source::Named(NamedSet::Colour);
        let request = Request { size: Some((14, 14)), seed: 7, ..Request::new(source) };
        let data = open(&request, None).with_flip(true);
        let text = toml::to_string(data.record()).unwrap();
        let record: DataRecord = toml::from_str(&text).unwrap();
        assert_eq!(&record, data.record());
        let again = record.open(&Silent).unwrap();
        assert_eq!(again.record(), data.record());
        assert_eq!(again.shape(), ImageShape { height: 14, width: 14, channels: 3 });
        let read = |data: &DataSet| {
            let mut pixels = vec![0; data.shape().len()];
            let label = data.images().read(5, &mut pixels, &mut Default::default()).unwrap();
            (label, pixels)
        };
        assert_eq!(read(&data), read(&again));
        let other = DataRecord { sha256: "0".repeat(64), ..record.clone() };
        let message = other.open(&Silent).unwrap_err().to_string();
        assert!(message.contains("colour have changed") && message.contains("0000000000000000"), "{message}");
        let other = DataRecord { images: 59_999, ..record.clone() };
        assert!(other.open(&Silent).unwrap_err().to_string().contains("was 59999 and is 60000"));
        let other = DataRecord { dataset: Some("digits".into()), ..record };
        assert!(other.open(&Silent).unwrap_err().to_string().contains("there are: mnist, colour"));
    }

    #[test]
    fn grey_images_are_repeated_for_a_model_of_three_channels() {
        let model = Some(ImageShape { height: 28, width: 28, channels: 3 });
        let request = Request::new(Source::Named(NamedSet::Mnist));
        assert_eq!(open(&request, model).shape().channels, 3);
        assert_eq!(open(&request, None).shape().channels, 1);
        let test = request.open(Split::Test, model, &Silent).unwrap().unwrap();
        assert_eq!((test.len(), test.shape().channels), (10_000, 3));
        let grey = Request { channels: Some(1), ..request };
        assert_eq!(open(&grey, model).shape().channels, 1);
    }
}
