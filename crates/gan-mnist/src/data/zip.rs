//! Zip archives, as far as data sets are packed in them: files stored or deflated, of less than 4 GiB.
//!
//! The directory stands at the end: a record that says where it begins, and for each file an entry with its method,
//! CRC-32, sizes, name, and the offset of its own header. All numbers are little-endian. Source: PKWARE, "APPNOTE.TXT -
//! .ZIP File Format Specification", 4.3.

use std::io::{self, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use crate::error::{Error, Result};

/// The length of the record at the end without its comment, of an entry without its name, and of a file's own header
/// without its name.
const END: usize = 22;
const ENTRY: usize = 46;
const HEADER: usize = 30;
/// The longest comment behind the record at the end.
const COMMENT: u64 = 0xffff;
/// The most bytes that a directory is read of.
const LARGEST_DIRECTORY: u32 = 16 << 20;

/// An opened archive.
#[derive(Debug)]
pub(super) struct Zip<R> {
    /// Its name in errors.
    file: String,
    reader: R,
    entries: Vec<Entry>,
}

/// A file in it.
#[derive(Debug, Clone)]
struct Entry {
    name: String,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u32,
    size: u32,
    header: u32,
}

impl<R: Read + Seek> Zip<R> {
    /// Reads the directory. `file` names the archive in errors.
    pub(super) fn open(file: &str, mut reader: R) -> Result<Self> {
        let wrong = |offset: u64, what: &str| {
            Error::failure(format!("{file}: no zip archive that can be read at offset {offset}: {what}"))
        };
        let unreadable = |offset: u64| move |e: io::Error| wrong(offset, &e.to_string());
        let len = reader.seek(SeekFrom::End(0)).map_err(unreadable(0))?;
        let from = len.saturating_sub(END as u64 + COMMENT);
        let mut end = Vec::new();
        reader.seek(SeekFrom::Start(from)).map_err(unreadable(from))?;
        reader.by_ref().take(len - from).read_to_end(&mut end).map_err(unreadable(from))?;
        let at = end.windows(END).rposition(|window| window.starts_with(b"PK\x05\x06"));
        let at = at.ok_or_else(|| wrong(len, "the directory at its end is missing"))?;
        let record = &end[at..];
        let (size, offset) = (u32_at(record, 12), u32_at(record, 16));
        let place = u64::from(offset);
        if size > LARGEST_DIRECTORY || place + u64::from(size) > from + at as u64 {
            return Err(wrong(from + at as u64, "the directory is not where the end says"));
        }
        let mut directory = vec![0; size as usize];
        reader.seek(SeekFrom::Start(place)).map_err(unreadable(place))?;
        reader.read_exact(&mut directory).map_err(unreadable(place))?;
        let (mut entries, mut rest) = (Vec::new(), &directory[..]);
        while rest.len() >= ENTRY && rest.starts_with(b"PK\x01\x02") {
            let name = usize::from(u16_at(rest, 28));
            let len = ENTRY + name + usize::from(u16_at(rest, 30)) + usize::from(u16_at(rest, 32));
            if len > rest.len() {
                break;
            }
            entries.push(Entry {
                name: String::from_utf8_lossy(&rest[ENTRY..ENTRY + name]).into_owned(),
                flags: u16_at(rest, 8),
                method: u16_at(rest, 10),
                crc: u32_at(rest, 16),
                packed: u32_at(rest, 20),
                size: u32_at(rest, 24),
                header: u32_at(rest, 42),
            });
            rest = &rest[len..];
        }
        if !rest.is_empty() {
            return Err(wrong(
                place + (directory.len() - rest.len()) as u64,
                "this is no entry of its directory",
            ));
        }
        Ok(Zip { file: file.into(), reader, entries })
    }

    /// The names of its files.
    #[cfg(test)]
    fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Copies the file `name` out of the archive. Errors when it is not there, packed in a way that is not read, or not
    /// what its checksum says; then what was written is to be thrown away.
    pub(super) fn copy(&mut self, name: &str, to: &mut impl io::Write) -> Result<()> {
        let archive = &self.file;
        let Some(entry) = self.entries.iter().find(|entry| entry.name == name) else {
            return Err(Error::failure(format!("{archive}: has no file {name}")));
        };
        let offset = u64::from(entry.header);
        let wrong = |what: &str| {
            Error::failure(format!(
                "{archive}: {name} cannot be read (its header is at offset {offset}): {what}"
            ))
        };
        if entry.flags & 1 != 0 {
            return Err(wrong("it is encrypted"));
        }
        let mut header = [0; HEADER];
        let start =
            self.reader.seek(SeekFrom::Start(offset)).and_then(|_| self.reader.read_exact(&mut header));
        start.map_err(|e| wrong(&e.to_string()))?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(wrong("there is no header"));
        }
        let behind = i64::from(u16_at(&header, 26)) + i64::from(u16_at(&header, 28));
        self.reader.seek(SeekFrom::Current(behind)).map_err(|e| wrong(&e.to_string()))?;
        let packed = (&mut self.reader).take(u64::from(entry.packed));
        let mut contents: Box<dyn Read + '_> = match entry.method {
            0 => Box::new(packed),
            8 => Box::new(DeflateDecoder::new(packed)),
            method => return Err(wrong(&format!("it is packed by method {method}, read are 0 and 8"))),
        };
        // One byte more than it should have shows that there are more.
        let mut limited = contents.by_ref().take(u64::from(entry.size) + 1);
        let (mut crc, mut buffer, mut size) = (Crc::new(), vec![0; 1 << 16], 0u64);
        loop {
            let read = match limited.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(wrong(&format!("after {size} bytes: {e}"))),
            };
            crc.update(&buffer[..read]);
            size += read as u64;
            to.write_all(&buffer[..read])
                .map_err(|e| Error::failure(format!("cannot write {name} of {archive}: {e}")))?;
        }
        if size != u64::from(entry.size) {
            return Err(wrong(&format!("it has {size} bytes or more instead of {}", entry.size)));
        }
        if crc.sum() != entry.crc {
            return Err(wrong("its checksum is another"));
        }
        Ok(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;

    use super::*;

    /// An archive of these files, every second one stored.
    pub(in super::super) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (k, (name, contents)) in files.iter().enumerate() {
            let mut crc = Crc::new();
            crc.update(contents);
            let packed = if k % 2 == 1 {
                contents.to_vec()
            } else {
                let mut packed =
                    flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                packed.write_all(contents).unwrap();
                packed.finish().unwrap()
            };
            let method = if k % 2 == 1 { 0u16 } else { 8 };
            let mut common = Vec::new();
            common.extend([20, 0, 0, 0]);
            common.extend(method.to_le_bytes());
            common.extend([0; 4]);
            common.extend(crc.sum().to_le_bytes());
            common.extend((packed.len() as u32).to_le_bytes());
            common.extend((contents.len() as u32).to_le_bytes());
            common.extend((name.len() as u16).to_le_bytes());
            directory.extend(b"PK\x01\x02\x14\0");
            directory.extend(&common);
            directory.extend([0; 12]);
            directory.extend((bytes.len() as u32).to_le_bytes());
            directory.extend(name.as_bytes());
            bytes.extend(b"PK\x03\x04");
            bytes.extend(&common);
            // Three bytes behind the name here, none in the directory.
            bytes.extend([3, 0]);
            bytes.extend(name.as_bytes());
            bytes.extend([9; 3]);
            bytes.extend(packed);
        }
        let place = bytes.len() as u32;
        bytes.extend(&directory);
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend([(files.len() as u16).to_le_bytes(); 2].concat());
        bytes.extend((directory.len() as u32).to_le_bytes());
        bytes.extend(place.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut zip = Zip::open("x.zip", Cursor::new(bytes))?;
        let names: Vec<String> = zip.names().map(str::to_owned).collect();
        names
            .into_iter()
            .map(|name| {
                let mut contents = Vec::new();
                zip.copy(&name, &mut contents)?;
                Ok((name, contents))
            })
            .collect()
    }

    fn example() -> Vec<u8> {
        archive(&[("gzip/", b""), ("gzip/stored", b"as it is"), ("gzip/packed", &[7; 9000])])
    }

    #[test]
    fn files_come_out_stored_or_deflated() {
        let files = read(&example()).unwrap();
        let expected = [("gzip/", &b""[..]), ("gzip/stored", b"as it is"), ("gzip/packed", &[7; 9000])];
        assert_eq!(files, expected.map(|(name, bytes)| (name.to_string(), bytes.to_vec())));
        let mut commented = example();
        let len = commented.len();
        commented[len - 2] = 7;
        commented.extend(b"comment");
        assert_eq!(read(&commented).unwrap().len(), 3);
        let message = Zip::open("x.zip", Cursor::new(example())).unwrap().copy("no", &mut Vec::new());
        assert_eq!(message.unwrap_err().to_string(), "x.zip: has no file no");
    }

    #[test]
    fn every_truncation_names_the_archive() {
        let whole = example();
        for end in 0..whole.len() {
            let message = read(&whole[..end]).unwrap_err().to_string();
            assert!(
                message.starts_with("x.zip: no zip archive that can be read at offset "),
                "{end}: {message}"
            );
        }
    }

    #[test]
    fn what_is_not_the_file_is_not_given_out_as_such() {
        let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|w| w == what).unwrap();
        // The entry of the stored file in the directory.
        let entry = |bytes: &[u8]| {
            let at = bytes.windows(11).rposition(|w| w == b"gzip/stored").unwrap();
            at - ENTRY
        };
        let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = example();
            change(&mut bytes);
            read(&bytes).unwrap_err().to_string()
        };
        for (message, complaint) in [
            (
                damaged(&|bytes| {
                    let at = find(bytes, b"as it is");
                    bytes[at] = b'A'
                }),
                "its checksum is another",
            ),
            (
                damaged(&|bytes| {
                    let at = entry(bytes);
                    bytes[at + 8] = 1
                }),
                "it is encrypted",
            ),
            (
                damaged(&|bytes| {
                    let at = entry(bytes);
                    bytes[at + 10] = 12
                }),
                "packed by method 12",
            ),
            (
                damaged(&|bytes| {
                    let at = entry(bytes);
                    bytes[at + 24] = 4
                }),
                "instead of 4",
            ),
            (
                damaged(&|bytes| {
                    let at = entry(bytes);
                    bytes[at + 42] = 1
                }),
                "there is no header",
            ),
            (
                damaged(&|bytes| {
                    let at = entry(bytes);
                    bytes[at + 28..at + 30].fill(0xff)
                }),
                "no entry",
            ),
            (
                damaged(&|bytes| {
                    let end = bytes.len() - 10;
                    bytes[end..end + 4].fill(0xff)
                }),
                "not where the end says",
            ),
        ] {
            assert!(message.starts_with("x.zip: ") && message.contains("offset"), "{message}");
            assert!(message.contains(complaint), "{complaint}: {message}");
        }
    }

    proptest! {
        #[test]
        fn mutated_archives_are_read_or_refused_by_name(at: prop::sample::Index, value: u8, more: u8) {
            let mut bytes = example();
            let at = at.index(bytes.len());
            bytes[at] = value;
            let next = (at + 1) % bytes.len();
            bytes[next] ^= more;
            if let Err(error) = read(&bytes) {
                prop_assert!(error.to_string().starts_with("x.zip: "), "{}", error);
            }
        }
    }
}
