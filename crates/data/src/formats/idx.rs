//! The IDX format of the MNIST files.
//!
//! Big-endian: two zero bytes, one byte for the element type (0x08 is `u8`, the only one these sets use),
//! one byte for the rank, then each size as a `u32`, then the elements, row-major.
//! Source: <http://yann.lecun.com/exdb/mnist/>, "the IDX file format".

use std::io::{self, Read};

use thiserror::Error;

use crate::error;
use crate::image_shape::ImageShape;
use crate::labelled_images::LabelledImages;

/// The most elements that are read: larger claims are refused before any memory is taken.
pub const MAX_ELEMENTS: usize = 1 << 30;
/// The highest rank that is read.
pub const MAX_RANK: u8 = 4;

/// A tensor of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// As many bytes as the product of `shape`.
    pub elements: Vec<u8>,
}

/// Why a file is not an IDX file of bytes. Offsets count unpacked bytes.
#[derive(Debug, Error)]
pub enum IdxError {
    /// The first four bytes announce something else.
    #[error(
        "{file}: not an IDX file of bytes: it starts with {found:02x?} at offset 0, \
         expected [00, 00, 08, rank] with a rank from 1 to {MAX_RANK}"
    )]
    Magic {
        /// The file's name.
        file: String,
        /// What it starts with.
        found: [u8; 4],
    },
    /// The announced sizes multiply to too much.
    #[error(
        "{file}: the sizes {shape:?} at offset 4 are more than {MAX_ELEMENTS} bytes; a set of images may have more \
         where it is not packed"
    )]
    TooLarge {
        /// The file's name.
        file: String,
        /// The announced sizes.
        shape: Vec<usize>,
    },
    /// The file ends too early.
    #[error("{file}: ends at offset {offset}, expected {expected} bytes")]
    Truncated {
        /// The file's name.
        file: String,
        /// Where it ends.
        offset: u64,
        /// The length it should have.
        expected: u64,
    },
    /// Something follows the last element.
    #[error("{file}: goes on after its last element at offset {offset}")]
    TrailingBytes {
        /// The file's name.
        file: String,
        /// Where it should end.
        offset: u64,
    },
    /// Reading or unpacking failed.
    #[error("{file}: cannot be read at offset {offset}: {source}")]
    Read {
        /// The file's name.
        file: String,
        /// How far it could be read.
        offset: u64,
        /// Why not further.
        source: io::Error,
    },
}

/// Reads a whole IDX file of bytes. `file` names it in errors. Takes no more memory than the file has
/// elements, and none for what a header only claims.
pub fn read_idx(file: &str, mut reader: impl Read) -> Result<Idx, IdxError> {
    let (shape, mut offset) = read_header(file, &mut reader)?;
    let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let Some(elements) = elements.filter(|&n| n <= MAX_ELEMENTS) else {
        return Err(IdxError::TooLarge { file: file.into(), shape });
    };
    let elements = read_exactly(file, &mut reader, &mut offset, elements)?;
    match reader.read(&mut [0]) {
        Ok(0) => Ok(Idx { shape, elements }),
        Ok(_) => Err(IdxError::TrailingBytes { file: file.into(), offset }),
        Err(source) => Err(IdxError::Read { file: file.into(), offset, source }),
    }
}

/// Reads the header of an IDX file of bytes: its shape, and the offset of the first element.
pub fn read_header(file: &str, mut reader: impl Read) -> Result<(Vec<usize>, u64), IdxError> {
    let mut offset = 0;
    let magic = read_exactly(file, &mut reader, &mut offset, 4)?;
    let found = [magic[0], magic[1], magic[2], magic[3]];
    let [0, 0, 8, rank @ 1..=MAX_RANK] = found else {
        return Err(IdxError::Magic { file: file.into(), found });
    };
    let sizes = read_exactly(file, &mut reader, &mut offset, 4 * usize::from(rank))?;
    let shape = sizes
        .chunks_exact(4)
        .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
        .map(|size| usize::try_from(size).unwrap_or(usize::MAX))
        .collect();
    Ok((shape, offset))
}

impl LabelledImages {
    /// Joins a file of images [N, height, width], grey, or [N, height, width, 1 or 3] and one of labels `[N]`, each
    /// with its name for errors. Refuses other shapes, empty sets, counts that differ, and labels from `classes` up.
    pub fn from_idx(images: (&str, Idx), labels: (&str, Idx), classes: usize) -> error::Result<Self> {
        let ((images_file, images), (labels_file, labels)) = (images, labels);
        let (count, shape) = image_shape(images_file, &images.shape)?;
        check_labels(images_file, count, labels_file, &labels, classes)?;
        let labels = labels.elements.into_iter().map(u32::from).collect();
        Ok(LabelledImages::labelled(shape, images.elements, labels, classes))
    }
}

/// The number and the size of the images in a file of shape [N, height, width], grey, or [N, height, width, 1 or 3].
/// Errors when it is another, or there are none.
pub(crate) fn image_shape(file: &str, shape: &[usize]) -> error::Result<(usize, ImageShape)> {
    let (count, shape_of_one) = match *shape {
        [count, height, width] => (count, ImageShape { height, width, channels: 1 }),
        [count, height, width, channels @ (1 | 3)] => (count, ImageShape { height, width, channels }),
        _ => {
            return Err(error::Error::failure(format!(
                "{file}: expected images [N, height, width] or [N, height, width, 1 or 3], found the shape {shape:?}"
            )));
        }
    };
    if count == 0 || shape_of_one.is_empty() {
        return Err(error::Error::failure(format!("{file}: has no images (shape {shape:?})")));
    }
    Ok((count, shape_of_one))
}

/// Errors unless there is one label for each of `count` images, below `classes`.
pub(crate) fn check_labels(
    images_file: &str,
    count: usize,
    labels_file: &str,
    labels: &Idx,
    classes: usize,
) -> error::Result<()> {
    if labels.shape != [count] {
        return Err(error::Error::failure(format!(
            "{labels_file}: expected {count} labels, one for each image of {images_file}, found the shape {:?}",
            labels.shape
        )));
    }
    if let Some(at) = labels.elements.iter().position(|&label| usize::from(label) >= classes) {
        return Err(error::Error::failure(format!(
            "{labels_file}: the label {} at offset {} is none of 0 to {}",
            labels.elements[at],
            at + 8,
            classes - 1
        )));
    }
    Ok(())
}

/// Reads `count` bytes and moves `offset` on.
fn read_exactly(
    file: &str,
    reader: &mut impl Read,
    offset: &mut u64,
    count: usize,
) -> Result<Vec<u8>, IdxError> {
    let start = *offset;
    let mut bytes = Vec::new();
    // `take` grows the vector with what is there, so a false size costs nothing.
    let result = reader.take(count as u64).read_to_end(&mut bytes);
    *offset += bytes.len() as u64;
    match result {
        Err(source) => Err(IdxError::Read { file: file.into(), offset: *offset, source }),
        Ok(_) if bytes.len() < count => {
            let expected = start + count as u64;
            Err(IdxError::Truncated { file: file.into(), offset: *offset, expected })
        }
        Ok(_) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: [u8; 18] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];

    fn message(bytes: &[u8]) -> String {
        read_idx("digits", bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_file_is_read() {
        let idx = read_idx("digits", &FILE[..]).unwrap();
        assert_eq!(idx, Idx { shape: vec![2, 3], elements: vec![1, 2, 3, 4, 5, 6] });
    }

    #[test]
    fn every_truncation_names_file_and_offset() {
        for end in 0..FILE.len() {
            let expected = if end < 4 {
                4
            } else if end < 12 {
                12
            } else {
                18
            };
            assert_eq!(
                message(&FILE[..end]),
                format!("digits: ends at offset {end}, expected {expected} bytes")
            );
        }
    }

    #[test]
    fn other_types_ranks_and_files_are_refused() {
        for magic in [[0, 0, 0x0d, 2], [0, 0, 8, 0], [0, 0, 8, 5], [0x1f, 0x8b, 8, 0], *b"\x89PNG"] {
            let text = message(&[&magic[..], &FILE[4..]].concat());
            assert!(
                text.starts_with("digits: not an IDX file of bytes") && text.contains("offset 0"),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let huge = [&[0, 0, 8, 3][..], &[0xff; 12]].concat();
        assert!(
            message(&huge).starts_with("digits: the sizes [4294967295, 4294967295, 4294967295] at offset 4")
        );
        let claimed = [&[0, 0, 8, 1][..], &[0x40, 0, 0, 0], &[7; 5]].concat();
        assert_eq!(message(&claimed), "digits: ends at offset 13, expected 1073741832 bytes");
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let text = message(&[&FILE[..], &[0]].concat());
        assert_eq!(text, "digits: goes on after its last element at offset 18");
    }

    #[test]
    fn a_broken_gzip_stream_names_the_offset() {
        use std::io::Write;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        packed.write_all(&FILE).unwrap();
        let packed = packed.finish().unwrap();
        let unpacked = read_idx("digits", flate2::read::GzDecoder::new(&packed[..])).unwrap();
        assert_eq!(unpacked.shape, [2, 3]);
        for end in 0..packed.len() {
            let text =
                read_idx("digits", flate2::read::GzDecoder::new(&packed[..end])).unwrap_err().to_string();
            assert!(text.starts_with("digits: ") && text.contains("at offset"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read_idx("digits", &bytes[..]);
        }

        #[test]
        fn mutated_files_are_read_or_refused_by_name(at in 0..FILE.len(), value: u8) {
            let mut file = FILE;
            file[at] = value;
            match read_idx("digits", &file[..]) {
                Ok(idx) => prop_assert_eq!(idx.shape.iter().product::<usize>(), idx.elements.len()),
                Err(error) => prop_assert!(error.to_string().starts_with("digits: ")),
            }
        }
    }
}
