//! NumPy's archives of arrays: a zip file of `.npy` files, uncompressed.
//!
//! The formats are described in NumPy's NEP 1 and in PKWARE's APPNOTE.

use gannet_tensor::Backend;

use super::crc32;
use super::{Part, Weights};
use crate::error::{Error, Result};
use crate::gan::Gan;

/// The date that all entries have, so that the same arrays give the same bytes: 1 January 1980, the first there is.
const DATE: u16 = 1 << 5 | 1;
/// The version of the zip format that a reader needs: 2.0.
const VERSION: u16 = 20;

/// The tensors of a part of a GAN as `numpy.load` reads them: names and layouts are this crate's
/// (`2.conv_transpose2d/kernel` [Kh, Kw, C_out, C_in]), numbers float32, the generator's those of its average where
/// there is one. Errors when they are too many for a zip file (4 GiB).
pub fn export<B: Backend>(gan: &Gan<B>, part: Part) -> Result<Vec<u8>> {
    let weights = Weights::of(gan, part)?;
    write(weights.iter().map(|(name, shape, values)| (name, npy(shape, values))))
}

/// A `.npy` file of version 1.0.
fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    // A tuple of one has a comma behind it.
    let dims: String = shape.iter().map(|dim| format!("{dim}, ")).collect();
    let tuple = if shape.len() > 1 { dims.trim_end_matches(", ") } else { dims.trim_end() };
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({tuple}), }}");
    // Everything before the numbers takes a multiple of 64 bytes, the last of them a line break.
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    file
}

/// A zip file with the given `.npy` files, stored as they are.
fn write<'a>(files: impl Iterator<Item = (&'a str, Vec<u8>)>) -> Result<Vec<u8>> {
    let too_large = || Error::invalid("the tensors do not fit in an .npz file: it holds 4 GiB at most");
    let (mut archive, mut directory, mut count) = (Vec::new(), Vec::new(), 0u16);
    for (name, file) in files {
        let name = format!("{name}.npy");
        let offset = u32::try_from(archive.len()).map_err(|_| too_large())?;
        let size = u32::try_from(file.len()).map_err(|_| too_large())?;
        let entry = entry(&name, crc32::ZIP.of(&file), size);
        archive.extend(b"PK\x03\x04");
        archive.extend(&entry);
        archive.extend(name.as_bytes());
        archive.extend(file);
        directory.extend(b"PK\x01\x02");
        directory.extend(VERSION.to_le_bytes());
        directory.extend(&entry);
        // No comment, first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
        count += 1;
    }
    let offset = u32::try_from(archive.len()).map_err(|_| too_large())?;
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(offset.to_le_bytes());
    archive.extend([0; 2]);
    Ok(archive)
}

/// What a file's own header and its entry in the directory have in common.
fn entry(name: &str, crc: u32, size: u32) -> Vec<u8> {
    let mut entry = Vec::new();
    // Version, flags, method 0 (stored), time, date.
    for number in [VERSION, 0, 0, 0, DATE] {
        entry.extend(number.to_le_bytes());
    }
    for number in [crc, size, size] {
        entry.extend(number.to_le_bytes());
    }
    // Lengths of the name and of the extra field.
    entry.extend((name.len() as u16).to_le_bytes());
    entry.extend([0; 2]);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8], at: usize, len: usize) -> usize {
        bytes[at..at + len].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    }

    #[test]
    fn arrays_have_the_header_that_numpy_writes() {
        for (shape, tuple) in
            [(&[][..], "()"), (&[3], "(3,)"), (&[2, 3], "(2, 3)"), (&[1, 1, 1], "(1, 1, 1)")]
        {
            let values: Vec<f32> = (0..shape.iter().product()).map(|n| n as f32).collect();
            let file = npy(shape, &values);
            assert_eq!(&file[..8], b"\x93NUMPY\x01\0");
            let header = number(&file, 8, 2);
            assert!((10 + header).is_multiple_of(64), "{header}");
            let text = std::str::from_utf8(&file[10..10 + header]).unwrap();
            let expected = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple}, }}");
            assert_eq!(text.trim_end(), expected);
            assert!(text.ends_with('\n'));
            assert_eq!(file.len() - 10 - header, 4 * values.len());
            assert!(file.ends_with(&values.last().unwrap().to_le_bytes()));
        }
    }

    /// A reader of the directory at the end finds every file where it says, with the check that it says.
    #[test]
    fn an_archive_reads_back() {
        let files = [("0.dense/kernel", npy(&[2, 2], &[1.0, -2.0, 3.5, 0.0])), ("b", npy(&[1], &[7.0]))];
        let archive = write(files.clone().into_iter()).unwrap();
        let end = archive.len() - 22;
        assert_eq!(&archive[end..end + 4], b"PK\x05\x06");
        assert_eq!(number(&archive, end + 10, 2), 2);
        let mut at = number(&archive, end + 16, 4);
        assert_eq!(at + number(&archive, end + 12, 4), end);
        for (name, file) in &files {
            assert_eq!(&archive[at..at + 4], b"PK\x01\x02");
            let (crc, size, named) =
                (number(&archive, at + 16, 4), number(&archive, at + 24, 4), number(&archive, at + 28, 2));
            assert_eq!(&archive[at + 46..at + 46 + named], format!("{name}.npy").as_bytes());
            let local = number(&archive, at + 42, 4);
            assert_eq!(&archive[local..local + 4], b"PK\x03\x04");
            assert_eq!(archive[local + 4..local + 30], archive[at + 6..at + 32]);
            let data = &archive[local + 30 + named..local + 30 + named + size];
            assert_eq!(data, file);
            assert_eq!(crc, crc32::ZIP.of(data) as usize);
            at += 46 + named;
        }
        assert_eq!(at, end);
    }
}
