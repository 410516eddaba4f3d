//! Sets of IDX files, packed by gzip or not.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;

use super::idx::{Idx, MAX_RANK, check_labels, image_shape, read_header, read_idx};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::image_shape::ImageShape;
use crate::images::{Images, Scratch};
use crate::labelled_images::LabelledImages;
use crate::positioned::Positioned;
use crate::split::Split;
use crate::stored::Stored;

/// Unpacked files of more bytes than this are read image by image.
const IN_MEMORY: u64 = 256 << 20;
/// What packed files start with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Opens one part of a folder with the usual names, or an image file with its label file beside it, which has training
/// images alone. Labels may be missing. Nothing where the set has no such part.
pub(crate) fn open(path: &Path, split: Split) -> Result<Option<Stored>> {
    let images = if path.is_dir() {
        match find(path, split)? {
            Some(images) => images,
            None => return Ok(None),
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
        [plain, packed]
            if packed.extension() == Some("gz".as_ref()) && packed.with_extension("") == *plain =>
        {
            Ok(Some(plain.clone()))
        }
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

/// Opens a pair of files.
pub(crate) fn open_pair(images: &Path, labels: &Path) -> Result<Stored> {
    open_files(images, Some(labels))
}

fn open_files(images_path: &Path, labels_path: Option<&Path>) -> Result<Stored> {
    if let Some(large) = LargeIdx::open(images_path)? {
        return open_large(large, labels_path);
    }
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
            let labels = labels.elements.into_iter().map(u32::from).collect();
            LabelledImages::labelled(shape, images.elements, labels, classes)
        }
    };
    debug_assert_eq!(images.len(), count);
    Ok(Stored { images: Arc::new(images), sha256: fingerprint.finish() })
}

/// Joins a file that is left where it is with its labels.
fn open_large(mut images: LargeIdx, labels_path: Option<&Path>) -> Result<Stored> {
    let mut fingerprint = Fingerprint::default();
    let ImageShape { height, width, channels } = images.shape;
    fingerprint.text(format!("{} x {height} x {width} x {channels}", images.count));
    let (file, start) = (&images.file, images.start);
    fingerprint.part(file.len() - start, |offset, bytes| file.read(start + offset, bytes))?;
    if let Some(path) = labels_path {
        let labels = read(path)?;
        let names = (file.path().display().to_string(), path.display().to_string());
        check_labels(&names.0, images.count, &names.1, &labels, 256)?;
        fingerprint.bytes(&labels.elements);
        images.labels = labels.elements;
    }
    Ok(Stored { images: Arc::new(images), sha256: fingerprint.finish() })
}

/// An unpacked image file that is too large to read whole: its images are read where they lie.
#[derive(Debug)]
struct LargeIdx {
    file: Positioned,
    /// Where the first image begins.
    start: u64,
    count: usize,
    shape: ImageShape,
    /// Empty without classes.
    labels: Vec<u8>,
}

impl LargeIdx {
    /// Opens a file that is unpacked and large; nothing where it is another.
    fn open(path: &Path) -> Result<Option<Self>> {
        let file = Positioned::open(path)?;
        if file.len() <= IN_MEMORY {
            return Ok(None);
        }
        let mut header = [0; 4 + 4 * MAX_RANK as usize];
        file.read(0, &mut header)?;
        if header[..2] == GZIP {
            return Ok(None);
        }
        let name = path.display().to_string();
        let (dims, start) = read_header(&name, &header[..]).map_err(Error::failure)?;
        let (count, shape) = image_shape(&name, &dims)?;
        let expected = (count as u64).checked_mul(shape.len() as u64).and_then(|n| n.checked_add(start));
        if expected != Some(file.len()) {
            return Err(Error::failure(format!(
                "{name}: ends at offset {}, expected {} bytes",
                file.len(),
                expected.map_or("an impossible number of".into(), |expected| expected.to_string())
            )));
        }
        Ok(Some(LargeIdx { file, start, count, shape, labels: Vec::new() }))
    }
}

impl Images for LargeIdx {
    fn len(&self) -> usize {
        self.count
    }

    fn shape(&self) -> ImageShape {
        self.shape
    }

    fn classes(&self) -> Option<usize> {
        self.labels.iter().max().map(|&label| usize::from(label) + 1)
    }

    fn read(&self, index: usize, pixels: &mut [u8], _: &mut Scratch) -> Result<u32> {
        assert!(index < self.count);
        self.file.read(self.start + (index * self.shape.len()) as u64, pixels)?;
        Ok(self.labels.get(index).copied().unwrap_or_default().into())
    }
}

/// Reads an IDX file, and unpacks it where it is packed.
fn read(path: &Path) -> Result<Idx> {
    let name = path.display().to_string();
    let cannot = |e| Error::cannot_read(path, &e);
    let mut file = BufReader::new(File::open(path).map_err(cannot)?);
    let mut start = Vec::new();
    file.by_ref().take(2).read_to_end(&mut start).map_err(cannot)?;
    let packed = start == GZIP;
    let whole = std::io::Cursor::new(start).chain(file);
    if packed { read_idx(&name, GzDecoder::new(whole)) } else { read_idx(&name, whole) }
        .map_err(Error::failure)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn idx(shape: &[u32], elements: &[u8]) -> Vec<u8> {
        let sizes = shape.iter().flat_map(|size| size.to_be_bytes());
        [0, 0, 8, shape.len() as u8].into_iter().chain(sizes).chain(elements.iter().copied()).collect()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn the_usual_names_are_found_packed_or_not() {
        for (images, labels) in [
            ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
            ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
            ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
            ("emnist-digits-train-images-idx3-ubyte.gz", "emnist-digits-train-labels-idx1-ubyte.gz"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let write = |name: &str, bytes: &[u8]| {
                let bytes = if name.ends_with(".gz") { packed(bytes) } else { bytes.to_vec() };
                fs::write(folder.path().join(name), bytes).unwrap();
            };
            write(images, &idx(&[2, 1, 2], &[1, 2, 3, 4]));
            let alone = open(folder.path(), Split::Train).unwrap().unwrap();
            assert_eq!(alone.images.classes(), None);
            write(labels, &idx(&[2], &[0, 4]));
            let stored = open(folder.path(), Split::Train).unwrap().unwrap();
            assert_eq!((stored.images.len(), stored.images.classes()), (2, Some(5)));
            assert_ne!(stored.sha256, alone.sha256);
            assert!(open(folder.path(), Split::Test).unwrap().is_none());
            // The file itself names the same set.
            let file = open(&folder.path().join(images), Split::Train).unwrap().unwrap();
            assert_eq!(file.sha256, stored.sha256);
            write("other-train-images-idx3-ubyte", &idx(&[1, 1, 1], &[0]));
            let message = open(folder.path(), Split::Train).err().unwrap().to_string();
            assert!(message.contains("several sets of images") && message.contains(images), "{message}");
        }
    }

    #[test]
    fn a_packed_file_takes_no_more_memory_than_its_header_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train-images-idx3-ubyte.gz");
        // 64 MiB of zeros in 64 KiB, behind a header of one image.
        let mut bomb = idx(&[1, 1, 1], &[0]);
        bomb.resize(64 << 20, 0);
        fs::write(&path, packed(&bomb)).unwrap();
        let message = open(&path, Split::Train).err().unwrap().to_string();
        assert!(message.contains("goes on after its last element at offset 17"), "{message}");
        // And a header of more than is ever unpacked.
        fs::write(&path, packed(&idx(&[1 << 20, 1 << 10, 1 << 10], &[0; 100]))).unwrap();
        let message = open(&path, Split::Train).err().unwrap().to_string();
        assert!(message.contains("at offset 4 are more than") && message.contains("not packed"), "{message}");
    }

    #[test]
    fn a_large_file_is_read_where_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train-images-idx3-ubyte");
        let (count, side) = (70_000u32, 64u32);
        let len = u64::from(count) * u64::from(side * side);
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(&idx(&[count, side, side], &[])).unwrap();
        // A hole: it takes no room on the disk.
        file.set_len(16 + len).unwrap();
        use std::io::{Seek, SeekFrom};
        file.seek(SeekFrom::Start(16 + len - 1)).unwrap();
        file.write_all(&[7]).unwrap();
        let stored = open(&path, Split::Train).unwrap().unwrap();
        assert_eq!(stored.images.len(), count as usize);
        let mut pixels = vec![1; (side * side) as usize];
        stored.images.read(count as usize - 1, &mut pixels, &mut Scratch::default()).unwrap();
        assert_eq!((pixels[0], pixels.last()), (0, Some(&7)));
        file.set_len(16 + len - 1).unwrap();
        let message = open(&path, Split::Train).err().unwrap().to_string();
        assert!(message.contains(&format!("ends at offset {}", 15 + len)), "{message}");
    }
}
