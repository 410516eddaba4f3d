//! Sets of IDX files, packed by gzip or not.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;

use super::data_set::{Split, Stored};
use super::fingerprint::Fingerprint;
use super::idx::{Idx, check_labels, image_shape, read_idx};
use super::{Images as _, LabelledImages};
use crate::error::{Error, Result};

/// Opens one part of a folder with the usual names, or an image file with its label file beside it, which has training
/// images alone. Labels may be missing. Nothing where the set has no such part.
pub(super) fn open(path: &Path, split: Split) -> Result<Option<Stored>> {
    let images = if path.is_dir() {
        match (find(path, split)?, split) {
            (Some(images), _) => images,
            (None, Split::Test) => return Ok(None),
            (None, Split::Train) => {
                return Err(Error::failure(format!(
                    "{}: found no images: expected train-images-idx3-ubyte, packed as .gz or not",
                    path.display()
                )));
            }
        }
    } else if split == Split::Train {
        path.to_path_buf()
    } else {
        return Ok(None);
    };
    open_files(&images, labels_of(&images).as_deref()).map(Some)
}

/// The image file of one part in a folder: `train-images-idx3-ubyte` or `train-images.idx3-ubyte`, with anything before
/// it, as EMNIST has it, and with .gz or without.
fn find(folder: &Path, split: Split) -> Result<Option<PathBuf>> {
    let parts: &[&str] = match split {
        Split::Train => &["train-images"],
        Split::Test => &["t10k-images", "test-images"],
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::cannot_read(folder, &e))? {
        let path = entry.map_err(|e| Error::cannot_read(folder, &e))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = name.strip_suffix(".gz").unwrap_or(&name);
        let Some(stem) = stem.strip_suffix("-ubyte") else { continue };
        let stem = stem.strip_suffix("idx3").or_else(|| stem.strip_suffix("idx4")).unwrap_or(stem);
        if parts.iter().any(|part| stem.trim_end_matches(['-', '.']).ends_with(part)) {
            found.push(path);
        }
    }
    found.sort();
    match &found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        // The same file packed and unpacked: the unpacked one opens at once.
        [plain, packed] if *packed == plain.with_added_extension("gz") => Ok(Some(plain.clone())),
        several => Err(Error::failure(format!(
            "{}: there are several sets of images: name one of {}",
            folder.display(),
            several.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// The label file that belongs to an image file, if it is there.
fn labels_of(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let stem = name.strip_suffix(".gz").unwrap_or(name);
    let labels = stem.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1");
    if labels == stem {
        return None;
    }
    [labels.clone(), format!("{labels}.gz")]
        .into_iter()
        .map(|name| images.with_file_name(name))
        .find(|p| p.exists())
}

fn open_files(images_path: &Path, labels_path: Option<&Path>) -> Result<Stored> {
    let images = read(images_path)?;
    let images_name = images_path.display().to_string();
    let (count, shape) = image_shape(&images_name, &images.shape)?;
    let mut fingerprint = Fingerprint::default();
    fingerprint.text(format!("{count} x {} x {} x {}", shape.height, shape.width, shape.channels));
    fingerprint.bytes(&images.elements);
    let images = match labels_path {
        None => LabelledImages::unlabelled(shape, images.elements),
        Some(path) => {
            let labels = read(path)?;
            check_labels(&images_name, count, &path.display().to_string(), &labels, 256)?;
            fingerprint.bytes(&labels.elements);
            let classes = labels.elements.iter().max().map_or(1, |&label| usize::from(label) + 1);
            LabelledImages::labelled(shape, images.elements, labels.elements, classes)
        }
    };
    debug_assert_eq!(images.len(), count);
    Ok(Stored { images: Arc::new(images), sha256: fingerprint.finish() })
}

/// Reads an IDX file, and unpacks it where it is packed.
fn read(path: &Path) -> Result<Idx> {
    let name = path.display().to_string();
    let cannot = |e| Error::cannot_read(path, &e);
    let mut file = BufReader::new(File::open(path).map_err(cannot)?);
    let mut start = Vec::new();
    file.by_ref().take(2).read_to_end(&mut start).map_err(cannot)?;
    let packed = start == [0x1f, 0x8b];
    let whole = std::io::Cursor::new(start).chain(file);
    if packed { read_idx(&name, GzDecoder::new(whole)) } else { read_idx(&name, whole) }
        .map_err(Error::failure)
}
