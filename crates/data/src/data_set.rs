//! An opened set of images, and what a run writes down of it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::formats::{array, cifar, idx_files};
use crate::image_shape::ImageShape;
use crate::images::Images;
use crate::listener::Listener;
use crate::named_set::NamedSet;
use crate::pictures::{
    ArchiveKind, Changes, Kind, Manifest, Pictures, Scan, ScanOptions, Summary, in_order_of, levels_of, scan,
    zip_contents,
};
use crate::sets::archived::{CIFAR10, EMNIST_DIGITS};
use crate::sets::cached::{FASHION, KMNIST, cache_folder};
use crate::split::Split;
use crate::stored::Stored;
use crate::transforms::{Coloured, Resize, Resized, Unlabelled};

/// The pictures whose contents the fingerprint covers; of the others it takes names and lengths.
const SAMPLES: usize = 256;

/// One part of a set of images, opened.
#[derive(Debug, Clone)]
pub struct DataSet {
    images: Arc<dyn Images>,
    record: DataRecord,
    /// Where the set consists of pictures.
    pictures: Option<Arc<Found>>,
    notes: Vec<String>,
}

/// What was found when pictures were looked through.
#[derive(Debug)]
struct Found {
    manifest: Manifest,
    others: usize,
    notes: Vec<String>,
    resize: Resize,
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
    /// How images got other proportions, where not by a crop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<String>,
    /// How many classes the labels tell apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Their names in the order of their numbers, where they have names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// Whether classes that there are were left aside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_classes: bool,
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
    /// Channels to bring them to: 1, 3, or 4 with transparency.
    pub channels: Option<usize>,
    /// Where no size is asked for: images become squares, whose side is the largest power of two that they have, at least 16
    /// and at most this. Grey images of 28 x 28, such as MNIST's, stay as they are.
    pub largest_square: Option<usize>,
    /// How they get other proportions.
    pub resize: Resize,
    /// Whether classes are left aside.
    pub without_classes: bool,
    /// Whether a picture that cannot be used is an error.
    pub strict: bool,
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

/// What a path holds.
enum Opened {
    /// Images of one size.
    Images(Stored, Vec<String>, Vec<String>),
    /// Pictures of any size.
    Pictures(Box<Scan>),
}

impl From<Stored> for Opened {
    fn from(stored: Stored) -> Self {
        Opened::Images(stored, Vec::new(), Vec::new())
    }
}

impl From<array::ArraySet> for Opened {
    fn from(set: array::ArraySet) -> Self {
        Opened::Images(set.stored, set.classes, set.notes)
    }
}

impl Request {
    /// The images of `source` as they are.
    pub fn new(source: Source) -> Self {
        Request {
            source,
            size: None,
            channels: None,
            largest_square: None,
            resize: Resize::Crop,
            without_classes: false,
            strict: false,
            seed: 0,
        }
    }

    /// Opens one part for a model of images of shape `model`, if there is one; nothing where the set has no such part.
    /// `listener` hears what takes a while. Errors name the file, and say what would be right.
    pub fn open(
        &self,
        split: Split,
        model: Option<ImageShape>,
        listener: &dyn Listener,
    ) -> Result<Option<DataSet>> {
        let opened = match &self.source {
            Source::Named(NamedSet::Mnist) => Some(open_mnist(split)?.into()),
            Source::Named(NamedSet::Colour) => {
                let Stored { images, sha256 } = open_mnist(split)?;
                Some(Stored { images: Arc::new(Coloured::new(images, self.seed)), sha256 }.into())
            }
            Source::Named(NamedSet::Fashion) => Some(FASHION.open(split, listener)?.into()),
            Source::Named(NamedSet::Kmnist) => Some(KMNIST.open(split, listener)?.into()),
            Source::Named(NamedSet::EmnistDigits) => Some(EMNIST_DIGITS.open(split, listener)?.into()),
            Source::Named(NamedSet::Cifar10) => Some(CIFAR10.open(split, listener)?.into()),
            Source::Path(path) => self.open_path(path, split, listener)?,
        };
        match opened {
            None => Ok(None),
            Some(Opened::Images(stored, classes, notes)) => {
                Ok(Some(self.of_images(stored, classes, notes, model)))
            }
            Some(Opened::Pictures(found)) if split == Split::Test => {
                self.of_test_pictures(*found, model, listener)
            }
            Some(Opened::Pictures(found)) => Ok(Some(self.of_pictures(*found, None, model))),
        }
    }

    /// Images of one size, in the shape that is asked for.
    fn of_images(
        &self,
        stored: Stored,
        class_names: Vec<String>,
        notes: Vec<String>,
        model: Option<ImageShape>,
    ) -> DataSet {
        let Stored { images, sha256 } = stored;
        let shape = self.target(images.shape(), model);
        let images = Resized::of(images, shape, self.resize);
        let unlabelled = self.without_classes && images.classes().is_some();
        let images = if unlabelled { Arc::new(Unlabelled(images)) } else { images };
        let class_names = if unlabelled { Vec::new() } else { class_names };
        let record = self.record(images.as_ref(), class_names, sha256);
        DataSet { images, record, pictures: None, notes }
    }

    /// Pictures in the shape that is asked for; `train` is the training part of the same set, where this is not it.
    fn of_pictures(&self, found: Scan, train: Option<&Manifest>, model: Option<ImageShape>) -> DataSet {
        let native = native_shape(train.unwrap_or(&found.manifest));
        // Pictures may have any size: those of the model, where nothing else is asked for.
        let size = model.filter(|_| self.size.is_none()).unwrap_or(native);
        let shape = self.target(ImageShape { channels: native.channels, ..size }, model);
        let sha256 = fingerprint(&found);
        let levels = levels_of(train.unwrap_or(&found.manifest));
        let (others, notes) = (found.others, found.notes.clone());
        let (pictures, manifest) = Pictures::new(found, levels, self.resize, shape);
        let record = self.record(&pictures, manifest.classes.clone(), sha256);
        let found = Found { manifest, others, notes, resize: self.resize };
        DataSet { images: Arc::new(pictures), record, pictures: Some(Arc::new(found)), notes: Vec::new() }
    }

    /// Test pictures, whose classes have the numbers that they have among the training pictures.
    fn of_test_pictures(
        &self,
        mut found: Scan,
        model: Option<ImageShape>,
        listener: &dyn Listener,
    ) -> Result<Option<DataSet>> {
        let Source::Path(path) = &self.source else { return Ok(None) };
        let Some(Opened::Pictures(train)) = self.open_path(path, Split::Train, listener)? else {
            return Ok(None);
        };
        found.with_classes_of(&train.manifest.classes);
        let some = !found.manifest.pictures.is_empty();
        Ok(some.then(|| self.of_pictures(found, Some(&train.manifest), model)))
    }

    fn record(&self, images: &dyn Images, class_names: Vec<String>, sha256: String) -> DataRecord {
        let ImageShape { height, width, channels } = images.shape();
        let (dataset, path) = match &self.source {
            Source::Named(set) => (Some(set.name().to_string()), None),
            Source::Path(path) => (None, Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()))),
        };
        DataRecord {
            dataset,
            path,
            images: images.len(),
            height,
            width,
            channels,
            resize: (self.resize != Resize::Crop).then(|| self.resize.name().into()),
            classes: images.classes(),
            class_names,
            without_classes: self.without_classes,
            flip: false,
            seed: self.seed,
            sha256,
        }
    }

    /// The square that images of the shape `native` become where no size is asked for.
    fn square(&self, native: ImageShape) -> Option<(usize, usize)> {
        let longest = self.largest_square?;
        let digits = native == ImageShape { height: 28, width: 28, channels: 1 };
        if digits && self.channels.is_none() {
            return None;
        }
        let shorter = native.height.min(native.width);
        let mut side = 16;
        while 2 * side <= shorter.min(longest) {
            side *= 2;
        }
        Some((side, side))
    }

    /// The shape that images of the shape `native` come in.
    fn target(&self, native: ImageShape, model: Option<ImageShape>) -> ImageShape {
        let (height, width) =
            self.size.or_else(|| self.square(native)).unwrap_or((native.height, native.width));
        // Grey digits fit a model of three channels as they are.
        let widened = native.channels == 1 && model.is_some_and(|model| model.channels == 3);
        let channels = self.channels.unwrap_or(if widened { 3 } else { native.channels });
        ImageShape { height, width, channels }
    }

    /// Looks what there is: IDX files, CIFAR-10 batches, arrays, pictures in a folder or an archive.
    fn open_path(&self, path: &Path, split: Split, listener: &dyn Listener) -> Result<Option<Opened>> {
        if !path.exists() {
            return Err(Error::failure(format!("{}: there is no such file or folder", path.display())));
        }
        if !path.is_dir() {
            return self.open_file(path, split, listener);
        }
        if let Some(stored) = idx_files::open(path, split)? {
            return Ok(Some(stored.into()));
        }
        let batches = cifar::find(path, split)?;
        if !batches.is_empty() {
            return Ok(Some(cifar::open(&batches)?.into()));
        }
        if let Some(found) = self.scan(path, None, split, listener)? {
            return Ok(Some(Opened::Pictures(Box::new(found))));
        }
        // One archive or array in a folder of its own.
        match &packages_in(path)?[..] {
            [one] => return self.open_file(one, split, listener),
            [] => {}
            several => {
                let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
                return Err(Error::failure(format!(
                    "{}: has no pictures but several archives or arrays: name one of {}",
                    path.display(),
                    names.join(", ")
                )));
            }
        }
        if split == Split::Test {
            return Ok(None);
        }
        Err(Error::failure(format!(
            "{}: has no images: expected pictures ({}), in it or in folders, one for each class; an archive of them (zip, \
             tar, tar.gz); a NumPy array (.npy, .npz); train-images-idx3-ubyte, packed as .gz or not; or \
             data_batch_1.bin",
            path.display(),
            Kind::ALL.map(Kind::name).join(", ")
        )))
    }

    /// The same for a file.
    fn open_file(&self, path: &Path, split: Split, listener: &dyn Listener) -> Result<Option<Opened>> {
        match ArchiveKind::of(path)? {
            Some(ArchiveKind::Zip) if is_npz(path)? => {
                return Ok(array::open_npz(path, split)?.map(Opened::from));
            }
            Some(kind) => {
                return match self.scan(path, Some(kind), split, listener)? {
                    Some(found) => Ok(Some(Opened::Pictures(Box::new(found)))),
                    None if split == Split::Test => Ok(None),
                    None => Err(Error::failure(format!(
                        "{}: this archive has no pictures: expected {}, or folders of them, one for each class",
                        path.display(),
                        Kind::ALL.map(Kind::name).join(", ")
                    ))),
                };
            }
            None => {}
        }
        let start = start_of(path)?;
        if start.starts_with(array::MAGIC) {
            return if split == Split::Train { Ok(Some(array::open_npy(path)?.into())) } else { Ok(None) };
        }
        if let Some(kind) = Kind::of(&start) {
            return Err(Error::failure(format!(
                "{}: is one picture ({}); --data takes a folder of pictures, or an archive",
                path.display(),
                kind.name()
            )));
        }
        match (path.extension().is_some_and(|ending| ending == "bin"), split) {
            (true, Split::Train) => Ok(Some(cifar::open(&[path.to_path_buf()])?.into())),
            (true, Split::Test) => Ok(None),
            (false, split) => Ok(idx_files::open(path, split)?.map(Opened::from)),
        }
    }

    fn scan(
        &self,
        path: &Path,
        archive: Option<ArchiveKind>,
        split: Split,
        listener: &dyn Listener,
    ) -> Result<Option<Scan>> {
        let cache = cache_folder().ok();
        let options = ScanOptions {
            strict: self.strict,
            no_classes: self.without_classes,
            listener,
            cache: cache.as_deref(),
        };
        scan(path, archive, split, options)
    }
}

/// The first bytes of a file.
fn start_of(path: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(|e| Error::cannot_read(path, &e))?;
    file.take(64).read_to_end(&mut start).map_err(|e| Error::cannot_read(path, &e))?;
    Ok(start)
}

/// Whether a zip archive holds arrays and nothing else.
fn is_npz(path: &Path) -> Result<bool> {
    let is = |contents: Vec<(String, _)>| {
        !contents.is_empty() && contents.iter().all(|(name, _)| name.ends_with(".npy"))
    };
    // An archive with files that cannot be read is none of NumPy's.
    Ok(zip_contents(path).is_ok_and(is))
}

/// The archives and arrays in a folder.
fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::cannot_read(folder, &e))? {
        let path = entry.map_err(|e| Error::cannot_read(folder, &e))?.path();
        let package = path.is_file()
            && (ArchiveKind::of(&path).is_ok_and(|kind| kind.is_some())
                || start_of(&path).is_ok_and(|start| start.starts_with(array::MAGIC)));
        if package && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The size that most pictures have, and three channels where any of them has colours.
fn native_shape(manifest: &Manifest) -> ImageShape {
    let mut sizes = std::collections::BTreeMap::new();
    let mut channels = 1;
    for looks in manifest.pictures.iter().filter_map(|picture| picture.found.as_ref().ok()) {
        *sizes.entry((looks.header.height, looks.header.width)).or_insert(0usize) += 1;
        channels = channels.max(if looks.header.channels >= 3 { 3 } else { 1 });
    }
    let most = sizes.into_iter().max_by_key(|(_, count)| *count);
    let (height, width) = most.map_or((1, 1), |(size, _)| size);
    ImageShape { height: height as usize, width: width as usize, channels }
}

/// What tells one set of pictures from another: names, classes, lengths, and of some the contents.
fn fingerprint(found: &Scan) -> String {
    let mut fingerprint = Fingerprint::default();
    let pictures = &found.manifest.pictures;
    let step = pictures.len().div_ceil(SAMPLES).max(1);
    for (n, (picture, place)) in pictures.iter().zip(&found.places).enumerate() {
        fingerprint.text(picture.name.text());
        fingerprint.text(format!("{} {}", picture.class.unwrap_or(0), picture.len));
        if n.is_multiple_of(step) {
            // What has gone since counts as empty: the next who reads it says so.
            let bytes = found.source.read(&picture.name, picture.len, *place).unwrap_or_default();
            fingerprint.bytes(&bytes);
        }
    }
    fingerprint.finish()
}

#[cfg(feature = "mnist")]
fn open_mnist(split: Split) -> Result<Stored> {
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
            resize: None,
            classes: images.classes(),
            class_names: Vec::new(),
            without_classes: false,
            flip: false,
            seed: 0,
            sha256: String::new(),
        };
        DataSet { images, record, pictures: None, notes: Vec::new() }
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

    /// The files that it was made from, where it consists of pictures.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.pictures.as_ref().map(|found| &found.manifest)
    }

    /// What it holds, where it consists of pictures.
    pub fn summary(&self) -> Option<Summary> {
        let found = self.pictures.as_ref()?;
        Some(Summary::new(&found.manifest, (found.others, &found.notes), self.shape(), found.resize))
    }

    /// What people should know of a set that does not consist of pictures: which numbers became black and white.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Images that a run was trained on, found again.
#[derive(Debug, Clone)]
pub struct Reopened {
    /// The images, in the order that the run had them in.
    pub data: DataSet,
    /// How they differ from what they were, where that could be told and was accepted, or is no more than that some
    /// cannot be read any more.
    pub changes: Option<Changes>,
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
        let data = self.request()?.open(Split::Train, None, listener)?;
        self.check(data, false)
    }

    /// The training images of a run again, wherever they are now: in `place`, or where they were. `before` is what the
    /// run found at first; its pictures are known by what they hold, whatever they are called. Errors when any of them
    /// changed, is gone or came, unless `accept` says that the run goes on with what is there; a picture that cannot be
    /// read any more is no error, for others take its place.
    pub fn reopen(
        &self,
        before: Option<&Manifest>,
        place: Option<&Path>,
        accept: bool,
        listener: &dyn Listener,
    ) -> Result<Reopened> {
        let mut record = self.clone();
        if let Some(place) = place {
            if self.path.is_none() {
                return Err(Error::failure(format!(
                    "the images of the run are the set {}, which needs no other place",
                    self.name()
                )));
            }
            record.path = Some(std::path::absolute(place).unwrap_or_else(|_| place.into()));
        }
        let request = record.request()?;
        let (Some(before), Source::Path(path)) = (before, &request.source) else {
            let data = request.open(Split::Train, None, listener)?;
            return Ok(Reopened { data: record.check(data, accept)?, changes: None });
        };
        let name = record.name();
        let mut found = match request.open_path(path, Split::Train, listener)? {
            Some(Opened::Pictures(found)) => *found,
            _ => {
                return Err(Error::failure(format!(
                    "{name}: does not consist of pictures, as the run's images did"
                )));
            }
        };
        let changes = before.compare(&found.manifest);
        if changes.is_none() {
            let found = in_order_of(before, found, &changes.places);
            let mut data = request.of_pictures(found, None, None).with_flip(self.flip);
            // The same pictures, be they called otherwise.
            data.record.sha256.clone_from(&self.sha256);
            return Ok(Reopened { data, changes: (!changes.spoilt.is_empty()).then_some(changes) });
        }
        if !accept {
            return Err(Error::failure(format!(
                "the pictures in {name} are not those that the run began with: {changes}; put them back, name where they \
                 are by --data, or go on with what is there by --accept-changes"
            )));
        }
        if let Some(new) = found.manifest.classes.iter().find(|class| !before.classes.contains(class)) {
            return Err(Error::failure(format!(
                "{name}: the class {new} is new; the model of the run knows {}",
                if before.classes.is_empty() { "no classes".into() } else { before.classes.join(", ") }
            )));
        }
        found.with_classes_of(&before.classes);
        if found.manifest.pictures.is_empty() {
            return Err(Error::failure(format!(
                "{name}: has no pictures of the classes of the run any more"
            )));
        }
        let data = request.of_pictures(found, None, None).with_flip(self.flip);
        Ok(Reopened { data, changes: Some(changes) })
    }

    /// Errors unless these are the images that were written down; where others are accepted, unless they could be.
    fn check(&self, data: Option<DataSet>, accept: bool) -> Result<DataSet> {
        let name = self.name();
        let data = data.ok_or_else(|| Error::failure(format!("{name}: has no training images any more")))?;
        let data = data.with_flip(self.flip);
        let changed = |what: &str, was: &dyn std::fmt::Display, is: &dyn std::fmt::Display| {
            Error::failure(format!(
                "the images in {name} have changed since the run began: {what} was {was} and is {is}; put them back, or \
                 go on with what is there by --accept-changes"
            ))
        };
        let found = data.record();
        if found.images != self.images && !accept {
            return Err(changed("their number", &self.images, &found.images));
        }
        if found.sha256 != self.sha256 && !accept {
            let short = |digest: &str| digest.chars().take(16).collect::<String>();
            return Err(changed("the sha256 of the data", &short(&self.sha256), &short(&found.sha256)));
        }
        // What older versions did not write down does not matter.
        let known = |record: &DataRecord| {
            let DataRecord { dataset, height, width, channels, resize, classes, seed, .. } = record.clone();
            (dataset, height, width, channels, resize, classes, seed)
        };
        if known(found) != known(self) {
            return Err(Error::failure(format!("the images in {name} cannot be opened as the run had them")));
        }
        Ok(data)
    }

    /// The test images of the same set in the same shape; nothing where it has none.
    pub fn open_test(&self, listener: &dyn Listener) -> Result<Option<DataSet>> {
        self.request()?.open(Split::Test, None, listener)
    }

    /// The name of a class: its number, where it has no other.
    pub fn class_name(&self, class: usize) -> String {
        self.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
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
            largest_square: None,
            resize: self.resize.as_deref().map_or(Ok(Resize::Crop), str::parse)?,
            without_classes: self.without_classes,
            strict: false,
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
    fn squares_are_powers_of_two_within_bounds() {
        let request = |longest| Request {
            largest_square: Some(longest),
            ..Request::new(Source::Named(NamedSet::Mnist))
        };
        let grey = |height, width| ImageShape { height, width, channels: 1 };
        for (height, width, longest, side) in [
            (5, 9, 64, 16),
            (28, 30, 64, 16),
            (40, 90, 64, 32),
            (90, 40, 64, 32),
            (72, 72, 64, 64),
            (400, 400, 64, 64),
            (400, 400, 128, 128),
            (128, 128, 100, 64),
        ] {
            assert_eq!(
                request(longest).target(grey(height, width), None),
                grey(side, side),
                "{height}x{width}"
            );
        }
        assert_eq!(request(64).target(grey(28, 28), None), grey(28, 28));
        let colour = Request { channels: Some(3), ..request(64) };
        assert_eq!(colour.target(grey(28, 28), None), ImageShape { height: 16, width: 16, channels: 3 });
        let asked = Request { size: Some((20, 24)), ..request(64) };
        assert_eq!(asked.target(grey(28, 28), None), grey(20, 24));
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
