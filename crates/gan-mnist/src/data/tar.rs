//! Tar archives, as far as data sets are packed in them.
//!
//! An archive is a row of blocks of 512 bytes: for each file a header with its name (offset 0), its size in octal digits
//! (124), a checksum (148), its type (156) and, from POSIX on, the folder it is in (345), then its contents, filled up to
//! whole blocks. Two blocks of zeros end it. Source: POSIX.1-2017, pax, "ustar Interchange Format".

use std::io::Read;

use crate::error::{Error, Result};

const BLOCK: usize = 512;

/// Calls `take` with the name and the contents of every regular file in an archive, in their order. `file` names the
/// archive in errors, which say at what offset of the unpacked bytes it is damaged.
pub(super) fn each_file(
    file: &str,
    mut archive: impl Read,
    mut take: impl FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut offset = 0u64;
    loop {
        let wrong = |what: &str| Error::failure(format!("{file}: no tar archive at offset {offset}: {what}"));
        let mut header = [0; BLOCK];
        archive.read_exact(&mut header).map_err(|e| wrong(&format!("its header cannot be read: {e}")))?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        // The sum is taken with blanks in its own place.
        let own = 148..156;
        let sum =
            header.iter().enumerate().map(|(k, &byte)| if own.contains(&k) { 32 } else { u64::from(byte) });
        if octal(&header[own.clone()]) != Some(sum.sum()) {
            return Err(wrong("its header does not have its checksum"));
        }
        let size = octal(&header[124..136]).ok_or_else(|| wrong("its size is no octal number"))?;
        let folder =
            if header[257..].starts_with(b"ustar\0") { text(&header[345..500]) } else { String::new() };
        let mut name = text(&header[..100]);
        if !folder.is_empty() {
            name = format!("{folder}/{name}");
        }
        let mut contents = (&mut archive).take(size);
        if matches!(header[156], b'0' | 0) {
            take(&name, &mut contents)?;
        }
        // What `take` has left, and what fills the last block.
        let left = contents.limit();
        skip(&mut archive, left + size.next_multiple_of(BLOCK as u64) - size)
            .map_err(|e| wrong(&format!("{name} cannot be read: {e}")))?;
        offset += BLOCK as u64 + size.next_multiple_of(BLOCK as u64);
    }
}

/// Reads `count` bytes and forgets them.
fn skip(archive: &mut impl Read, count: u64) -> std::io::Result<()> {
    let skipped = std::io::copy(&mut archive.take(count), &mut std::io::sink())?;
    if skipped < count { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// A number in octal digits, with blanks before it and a blank or a zero byte behind it; no higher than 8 GiB.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).ok().filter(|&number| number <= 1 << 33)
}

/// The text before the first zero byte.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An archive of these files; a name that ends in / is a folder.
    pub(in super::super) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, contents) in files {
            let mut header = [0; BLOCK];
            let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
            put(0, name.as_bytes());
            put(100, b"0000644\0");
            put(124, format!("{:011o}\0", contents.len()).as_bytes());
            put(148, b"        ");
            put(156, if name.ends_with('/') { b"5" } else { b"0" });
            put(257, b"ustar\x0000");
            let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            bytes.extend(header);
            bytes.extend(*contents);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.extend([0; 2 * BLOCK]);
        bytes
    }

    type Files = Vec<(String, Vec<u8>)>;

    fn read(bytes: &[u8]) -> Result<Files> {
        let mut files = Files::new();
        each_file("x.tar", bytes, |name, contents| {
            let mut read = Vec::new();
            contents.read_to_end(&mut read).map_err(Error::failure)?;
            files.push((name.into(), read));
            Ok(())
        })?;
        Ok(files)
    }

    fn example() -> Vec<u8> {
        archive(&[("folder/", b""), ("folder/a", &[7; 700]), ("folder/empty", b""), ("folder/b", b"bytes")])
    }

    #[test]
    fn files_come_with_their_names() {
        let files = read(&example()).unwrap();
        let expected = [("folder/a", &[7; 700][..]), ("folder/empty", b""), ("folder/b", b"bytes")];
        assert_eq!(files, expected.map(|(name, bytes)| (name.to_string(), bytes.to_vec())));
        // Whoever does not read a file finds the next one all the same.
        let mut names = Vec::new();
        each_file("x.tar", &example()[..], |name, _| {
            names.push(name.to_string());
            Ok(())
        })
        .unwrap();
        assert_eq!(names, ["folder/a", "folder/empty", "folder/b"]);
    }

    #[test]
    fn every_truncation_names_archive_and_offset() {
        let whole = example();
        for end in (0..whole.len() - 2 * BLOCK + 511).step_by(3) {
            let message = read(&whole[..end]).unwrap_err().to_string();
            assert!(message.starts_with("x.tar: no tar archive at offset "), "{end}: {message}");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let mut claims = example();
        claims[124..136].copy_from_slice(b"77777777777\0");
        for (bytes, complaint) in [
            (b"<html>".repeat(200), "does not have its checksum"),
            (vec![0xff; 2048], "does not have its checksum"),
            (claims, "offset 0: its header does not have its checksum"),
        ] {
            let message = read(&bytes).unwrap_err().to_string();
            assert!(message.contains(complaint), "{message}");
        }
    }

    proptest! {
        #[test]
        fn mutated_archives_are_read_or_refused_by_name(at: prop::sample::Index, value: u8, more: u8) {
            let mut bytes = example();
            let at = at.index(bytes.len());
            bytes[at] = value;
            bytes[(at + 1) % 3000] ^= more;
            if let Err(error) = read(&bytes) {
                prop_assert!(error.to_string().starts_with("x.tar: no tar archive at offset "), "{}", error);
            }
        }
    }
}
