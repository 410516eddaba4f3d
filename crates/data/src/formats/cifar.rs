//! CIFAR-10 in its binary form.
//!
//! A file is a row of records of 3073 bytes: a label from 0 to 9, then 32 rows of 32 reds, as many greens, as many
//! blues. Source: A. Krizhevsky, <https://www.cs.toronto.edu/~kriz/cifar.html>, "binary version".

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::image_shape::ImageShape;
use crate::images::{Images, Scratch};
use crate::positioned::Positioned;
use crate::split::Split;
use crate::stored::Stored;

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const RECORD: usize = 1 + 3 * PLANE;
const CLASSES: usize = 10;

/// Batches of CIFAR-10, read from their files image by image.
#[derive(Debug)]
pub struct Cifar {
    files: Vec<Positioned>,
    /// The number of the first image after each file.
    ends: Vec<usize>,
}

impl Cifar {
    /// Opens files, and looks at every label. Errors when a file is empty or not a whole number of records, or when a
    /// label is none of 0 to 9.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let (mut files, mut ends, mut count) = (Vec::new(), Vec::new(), 0);
        for path in paths {
            let file = Positioned::open(path)?;
            let (len, record) = (file.len(), RECORD as u64);
            if len == 0 {
                let path = path.display();
                return Err(Error::failure(format!(
                    "{path}: is empty: CIFAR-10 has records of {RECORD} bytes"
                )));
            }
            if !len.is_multiple_of(record) {
                return Err(Error::failure(format!(
                    "{}: is {len} bytes long, ends at offset {} of a record: CIFAR-10 has records of {RECORD} bytes",
                    path.display(),
                    len % record
                )));
            }
            for offset in (0..len).step_by(RECORD) {
                let mut label = [0];
                file.read(offset, &mut label)?;
                if usize::from(label[0]) >= CLASSES {
                    return Err(Error::failure(format!(
                        "{}: the label {} at offset {offset} is none of 0 to {}",
                        path.display(),
                        label[0],
                        CLASSES - 1
                    )));
                }
            }
            count += usize::try_from(len / record).unwrap_or(usize::MAX);
            files.push(file);
            ends.push(count);
        }
        Ok(Cifar { files, ends })
    }
}

impl Images for Cifar {
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    fn shape(&self) -> ImageShape {
        ImageShape { height: SIDE, width: SIDE, channels: 3 }
    }

    fn classes(&self) -> Option<usize> {
        Some(CLASSES)
    }

    fn read(&self, index: usize, pixels: &mut [u8], scratch: &mut Scratch) -> Result<u32> {
        let at = self.ends.partition_point(|&end| end <= index);
        let first = if at == 0 { 0 } else { self.ends[at - 1] };
        let mut record = scratch.take(RECORD);
        let result = self.files[at].read(((index - first) * RECORD) as u64, &mut record);
        let label = record[0];
        let (red, rest) = record[1..].split_at(PLANE);
        let (green, blue) = rest.split_at(PLANE);
        for (pixel, ((&r, &g), &b)) in pixels.chunks_exact_mut(3).zip(red.iter().zip(green).zip(blue)) {
            pixel.copy_from_slice(&[r, g, b]);
        }
        scratch.give(record);
        result.map(|()| label.into())
    }
}

/// The batches of one part in a folder: `data_batch_*.bin` or `test_batch.bin`, in the order of their names.
pub(crate) fn find(folder: &Path, split: Split) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::cannot_read(folder, &e))? {
        let path = entry.map_err(|e| Error::cannot_read(folder, &e))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let wanted = match split {
            Split::Train => name.starts_with("data_batch_"),
            Split::Test => name.starts_with("test_batch"),
        };
        if wanted && name.ends_with(".bin") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Opens batches, and takes their fingerprint.
pub(crate) fn open(paths: &[PathBuf]) -> Result<Stored> {
    let cifar = Cifar::open(paths)?;
    let mut fingerprint = Fingerprint::default();
    for file in &cifar.files {
        fingerprint.part(file.len(), |offset, bytes| file.read(offset, bytes))?;
    }
    Ok(Stored { images: Arc::new(cifar), sha256: fingerprint.finish() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records whose bytes say image, plane and place.
    fn records(labels: &[u8]) -> Vec<u8> {
        let record = |(n, &label): (usize, &u8)| {
            let mut bytes = vec![label];
            bytes.extend((0..3 * PLANE).map(|at| (n * 7 + at / PLANE * 50 + at % PLANE % 40) as u8));
            bytes
        };
        labels.iter().enumerate().flat_map(record).collect()
    }

    #[test]
    fn planes_become_pixels_across_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, labels: &[u8]| {
            std::fs::write(folder.path().join(name), records(labels)).unwrap();
        };
        write("data_batch_2.bin", &[9]);
        write("data_batch_1.bin", &[3, 0]);
        write("test_batch.bin", &[5]);
        let paths = find(folder.path(), Split::Train).unwrap();
        let cifar = Cifar::open(&paths).unwrap();
        assert_eq!(cifar.len(), 3);
        let (mut pixels, mut scratch) = (vec![0; 3 * PLANE], Scratch::default());
        for (index, label, n) in [(0, 3, 0), (1, 0, 1), (2, 9, 0)] {
            assert_eq!(cifar.read(index, &mut pixels, &mut scratch).unwrap(), label);
            for (at, pixel) in pixels.chunks_exact(3).enumerate() {
                let value = |plane: usize| (n * 7 + plane * 50 + at % 40) as u8;
                assert_eq!(pixel, [value(0), value(1), value(2)]);
            }
        }
        assert_eq!(find(folder.path(), Split::Test).unwrap(), [folder.path().join("test_batch.bin")]);
    }

    #[test]
    fn files_that_are_none_are_named_with_the_offset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data_batch_1.bin");
        let message = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Cifar::open(std::slice::from_ref(&path)).unwrap_err().to_string()
        };
        let whole = records(&[1, 2]);
        for end in (0..whole.len()).filter(|end| !end.is_multiple_of(RECORD)) {
            let text = message(&whole[..end]);
            assert!(text.contains("data_batch_1.bin") && text.contains(&format!("{end} bytes")), "{text}");
        }
        assert!(message(&[]).contains("data_batch_1.bin: is empty"));
        let text = message(&records(&[1, 10]));
        assert!(text.contains("the label 10 at offset 3073 is none of 0 to 9"), "{text}");
        // A file that shrinks while it is open.
        std::fs::write(&path, &whole).unwrap();
        let cifar = Cifar::open(std::slice::from_ref(&path)).unwrap();
        std::fs::write(&path, &whole[..RECORD]).unwrap();
        let text = cifar.read(1, &mut vec![0; 3 * PLANE], &mut Scratch::default()).unwrap_err().to_string();
        assert!(text.contains("data_batch_1.bin: cannot be read at offset 3073"), "{text}");
    }
}
