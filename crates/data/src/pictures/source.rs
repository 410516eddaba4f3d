//! Where the files of a set lie: in a folder, or in an archive that is read without unpacking it.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::read::{DeflateDecoder, GzDecoder};

use super::decode::LARGEST;
use super::fault::{Fault, Reason};
use super::name::Name;
use crate::error::{Error, Result};
use crate::positioned::Positioned;

/// Folders are followed so deep.
const DEEPEST: usize = 64;
/// The most bytes that a packed tar archive may unpack to.
const LARGEST_TAR: u64 = 1 << 40;
/// A file that was written within this time before it was looked at may change again without a sign.
const JUST_NOW: i64 = 2_000_000_000;
/// The time of a file that has none that could be relied on.
pub(crate) const NO_TIME: i64 = i64::MIN;

/// A folder or an archive.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Folder,
    Zip(Positioned),
    /// A tar archive; of a packed one the unpacked copy, which is gone when it is closed.
    Tar(Positioned),
}

/// A file of a set before anybody has looked into it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    /// In bytes, unpacked.
    pub(crate) len: u64,
    /// When it was changed, in nanoseconds since 1970, or [`NO_TIME`].
    pub(crate) modified: i64,
    pub(crate) place: Place,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a file of its name.
    File,
    /// A link to nothing.
    Nowhere,
    /// In a zip archive: where its header is, its packed length, whether it is deflated, its checksum.
    Zip { header: u64, packed: u64, deflated: bool, crc: u32 },
    /// In a zip archive, packed or encrypted in a way that is not read.
    Locked,
    /// In a tar archive, from this byte on.
    Tar(u64),
}

/// What a set consists of.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The files, in the order of their names; hidden ones and what systems leave behind are passed over.
    pub(crate) files: Vec<Entry>,
    /// The folders.
    pub(crate) folders: Vec<Name>,
}

/// Whether a name is hidden or what a system leaves behind: it is never meant as part of a set.
fn is_litter(name: &[u8]) -> bool {
    name.starts_with(b".")
        || [&b"__MACOSX"[..], b"@eaDir", b"Thumbs.db", b"desktop.ini"]
            .iter()
            .any(|litter| name.eq_ignore_ascii_case(litter))
}

fn time_of(metadata: &Metadata, now: i64) -> i64 {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanoseconds = since.and_then(|since| i64::try_from(since.as_nanos()).ok());
    nanoseconds.filter(|time| *time < now - JUST_NOW).unwrap_or(NO_TIME)
}

fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

/// What an archive is, by how it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArchiveKind {
    Zip,
    Tar,
    PackedTar,
}

impl ArchiveKind {
    /// The kind of archive that a file is, if it is one.
    pub(crate) fn of(path: &Path) -> Result<Option<Self>> {
        let mut start = Vec::new();
        let mut file = File::open(path).map_err(|e| Error::cannot_read(path, &e))?;
        (&mut file).take(512).read_to_end(&mut start).map_err(|e| Error::cannot_read(path, &e))?;
        if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
            return Ok(Some(ArchiveKind::Zip));
        }
        if is_tar(&start) {
            return Ok(Some(ArchiveKind::Tar));
        }
        if start.starts_with(b"\x1f\x8b") {
            file.seek(SeekFrom::Start(0)).map_err(|e| Error::cannot_read(path, &e))?;
            let mut inner = Vec::new();
            // What does not unpack is no archive.
            let _ = GzDecoder::new(BufReader::new(file)).take(512).read_to_end(&mut inner);
            return Ok(is_tar(&inner).then_some(ArchiveKind::PackedTar));
        }
        Ok(None)
    }
}

/// A tar header: 512 bytes with a checksum that is right.
fn is_tar(start: &[u8]) -> bool {
    let Some(header) = start.get(..512) else { return false };
    let text = String::from_utf8_lossy(&header[148..156]);
    let told = u32::from_str_radix(text.trim_matches([' ', '\0']), 8);
    let sum: u32 = header[..148].iter().chain(&[b' '; 8]).chain(&header[156..]).map(|&b| u32::from(b)).sum();
    header[0] != 0 && told == Ok(sum)
}

impl Source {
    /// Opens a folder, or an archive of the kind that is known.
    pub(crate) fn open(path: &Path, archive: Option<ArchiveKind>) -> Result<Self> {
        let form = match archive {
            None => Form::Folder,
            Some(ArchiveKind::Zip) => Form::Zip(Positioned::open(path)?),
            Some(ArchiveKind::Tar) => Form::Tar(Positioned::open(path)?),
            Some(ArchiveKind::PackedTar) => Form::Tar(unpack(path)?),
        };
        Ok(Source { path: path.into(), form })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a name, where the source is a folder.
    pub(crate) fn file(&self, name: &Name) -> Option<PathBuf> {
        matches!(self.form, Form::Folder).then(|| name.path_in(&self.path))
    }

    /// What to call a file of it in messages.
    pub(crate) fn name_of(&self, name: &Name) -> String {
        format!("{}/{name}", self.path.display())
    }

    /// Lists the files. Errors when a folder cannot be read, or the archive is damaged.
    pub(crate) fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        match &self.form {
            Form::Folder => {
                let root = self.path.canonicalize().map_err(|e| Error::cannot_read(&self.path, &e))?;
                walk(&self.path, &Name::new(b""), &mut vec![root], now(), &mut listing)?;
            }
            Form::Zip(file) => self.list_zip(file, &mut listing)?,
            Form::Tar(file) => self.list_tar(file, &mut listing)?,
        }
        listing.files.sort_by(|a, b| a.name.cmp(&b.name));
        // An archive may hold a name twice: the later one is meant.
        listing.files.reverse();
        listing.files.dedup_by(|a, b| a.name == b.name);
        listing.files.reverse();
        listing.folders.sort();
        listing.folders.dedup();
        Ok(listing)
    }

    fn damaged(&self, what: &str, error: impl std::fmt::Display) -> Error {
        Error::failure(format!("{}: this {what} is damaged: {error}", self.path.display()))
    }

    /// When the archive was changed.
    fn modified(&self) -> i64 {
        std::fs::metadata(&self.path).map_or(NO_TIME, |metadata| time_of(&metadata, now()))
    }

    fn list_zip(&self, file: &Positioned, listing: &mut Listing) -> Result<()> {
        let damaged = |error: &dyn std::fmt::Display| self.damaged("zip archive", error);
        let modified = self.modified();
        let archive =
            zip::ZipArchive::new(BufReader::new(Cursor { file, position: 0 })).map_err(|e| damaged(&e))?;
        for index in 0..archive.len() {
            let entry = archive.by_index_data(index).map_err(|e| damaged(&e))?;
            let name = entry.name().map_err(|e| damaged(&e))?.replace('\\', "/");
            let Some(name) = inner_name(name.as_bytes()) else { continue };
            if entry.is_dir() {
                listing.folders.push(name);
                continue;
            }
            let deflated = match entry.compression() {
                zip::CompressionMethod::Stored => Some(false),
                zip::CompressionMethod::Deflated => Some(true),
                _ => None,
            };
            let place = match deflated {
                Some(deflated) if !entry.encrypted() => Place::Zip {
                    header: entry.header_start(),
                    packed: entry.compressed_size(),
                    deflated,
                    crc: entry.crc32(),
                },
                _ => Place::Locked,
            };
            listing.add(Entry { name, len: entry.size(), modified, place });
        }
        Ok(())
    }

    fn list_tar(&self, file: &Positioned, listing: &mut Listing) -> Result<()> {
        let damaged = |error: io::Error| self.damaged("tar archive", error);
        let modified = self.modified();
        let mut archive = tar::Archive::new(BufReader::new(Cursor { file, position: 0 }));
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let Some(name) = inner_name(&entry.path_bytes()) else { continue };
            match entry.header().entry_type() {
                tar::EntryType::Directory => listing.folders.push(name),
                tar::EntryType::Regular | tar::EntryType::Continuous => listing.add(Entry {
                    name,
                    len: entry.size(),
                    modified,
                    place: Place::Tar(entry.raw_file_position()),
                }),
                _ => {}
            }
        }
        Ok(())
    }

    /// The bytes of a file.
    pub(crate) fn read(&self, name: &Name, len: u64, place: Place) -> std::result::Result<Vec<u8>, Fault> {
        let too_large = |len: u64| {
            Fault::new(
                Reason::TooLarge,
                format!("is too large: it has {len} bytes, the most for a picture is {LARGEST}"),
            )
        };
        if len > LARGEST {
            return Err(too_large(len));
        }
        match (place, &self.form) {
            (Place::Zip { header, packed, deflated, crc }, Form::Zip(file)) => {
                read_zipped(file, (header, packed, deflated, crc), len)
            }
            (Place::Tar(offset), Form::Tar(file)) => {
                let mut bytes = vec![0; len as usize];
                read_at(file, offset, &mut bytes)?;
                Ok(bytes)
            }
            (Place::File, Form::Folder) => {
                let mut file = File::open(name.path_in(&self.path))?;
                let len = file.metadata()?.len();
                if len > LARGEST {
                    return Err(too_large(len));
                }
                let mut bytes = Vec::with_capacity(len as usize);
                // It may be growing.
                (&mut file).take(LARGEST).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
            (Place::Locked, _) => Err(Fault::new(
                Reason::Unreadable,
                "cannot be read: it is encrypted, or packed in another way than by deflate",
            )),
            _ => Err(Fault::new(Reason::BrokenLink, "is a broken link")),
        }
    }
}

impl Listing {
    /// Adds a file and the folders that it is in.
    fn add(&mut self, entry: Entry) {
        let bytes = entry.name.as_bytes();
        let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for at in slashes {
            let folder = &bytes[..at];
            if self.folders.last().is_none_or(|last| last.as_bytes() != folder) {
                self.folders.push(Name::new(folder));
            }
        }
        self.files.push(entry);
    }
}

/// The name of a file in an archive, unless it is litter or leads out of the archive.
fn inner_name(name: &[u8]) -> Option<Name> {
    let mut parts = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return None,
            part if is_litter(part) => return None,
            part => parts.push(part),
        }
    }
    (!parts.is_empty() && parts.len() <= DEEPEST).then(|| Name::new(&parts.join(&b'/')))
}

/// Lists a folder and those in it. `within` are the folders that it is in, by their true paths: a link to one of them
/// would have no end.
fn walk(path: &Path, name: &Name, within: &mut Vec<PathBuf>, now: i64, listing: &mut Listing) -> Result<()> {
    let cannot = |e: io::Error| Error::cannot_read(path, &e);
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let file_name = entry.file_name();
        if is_litter(file_name.as_encoded_bytes()) {
            continue;
        }
        let name = name.child(&file_name);
        let linked = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        // What a link leads to.
        let metadata = if linked { std::fs::metadata(entry.path()) } else { entry.metadata() };
        match metadata {
            Ok(metadata) if metadata.is_dir() => folders.push((entry.path(), name, linked)),
            Ok(metadata) => listing.files.push(Entry {
                name,
                len: metadata.len(),
                modified: time_of(&metadata, now),
                place: if metadata.is_file() { Place::File } else { Place::Nowhere },
            }),
            Err(_) => {
                listing.files.push(Entry { name, len: 0, modified: NO_TIME, place: Place::Nowhere });
            }
        }
    }
    for (path, name, linked) in folders {
        let parent = within.last().expect("begins with the root");
        let real = if linked {
            path.canonicalize().map_err(|e| Error::cannot_read(&path, &e))?
        } else {
            parent.join(path.file_name().unwrap_or_default())
        };
        if within.len() > DEEPEST || within.contains(&real) {
            continue;
        }
        listing.folders.push(name.clone());
        within.push(real);
        walk(&path, &name, within, now, listing)?;
        within.pop();
    }
    Ok(())
}

/// Where the bytes of a file of a zip archive begin, how many there are, whether they are deflated, and its length.
pub(crate) type ZipContents = (u64, u64, bool, u64);

/// The names of the files of a zip archive, and where their bytes are.
pub(crate) fn zip_contents(path: &Path) -> Result<Vec<(String, ZipContents)>> {
    let source = Source::open(path, Some(ArchiveKind::Zip))?;
    let Form::Zip(file) = &source.form else { return Ok(Vec::new()) };
    let contents = source.list()?.files.into_iter().map(|entry| {
        let wrong = |fault: Fault| Error::failure(format!("{}: {fault}", source.name_of(&entry.name)));
        let Place::Zip { header, packed, deflated, .. } = entry.place else {
            let what = "cannot be read: it is encrypted, or packed in another way than by deflate";
            return Err(wrong(Fault::new(Reason::Unreadable, what)));
        };
        Ok((entry.name.text(), (zip_start(file, header).map_err(wrong)?, packed, deflated, entry.len)))
    });
    contents.collect()
}

/// Where the contents of a file of a zip archive begin: its local header says how far behind it.
fn zip_start(file: &Positioned, header: u64) -> std::result::Result<u64, Fault> {
    let mut local = [0; 30];
    read_at(file, header, &mut local)?;
    if !local.starts_with(b"PK\x03\x04") {
        let what = "is damaged: its header in the archive is not where it should be";
        return Err(Fault::new(Reason::Damaged, what));
    }
    let word = |at: usize| u64::from(u16::from_le_bytes([local[at], local[at + 1]]));
    Ok(header + 30 + word(26) + word(28))
}

/// Reads one file of a zip archive.
fn read_zipped(
    file: &Positioned,
    (header, packed, deflated, crc): (u64, u64, bool, u32),
    len: u64,
) -> std::result::Result<Vec<u8>, Fault> {
    let damaged = |what: &str| Fault::new(Reason::Damaged, format!("is damaged: {what}"));
    let start = zip_start(file, header)?;
    if packed > LARGEST || packed > file.len() {
        return Err(damaged("its length in the archive is wrong"));
    }
    let mut bytes = vec![0; packed as usize];
    read_at(file, start, &mut bytes)?;
    if deflated {
        let packed = bytes;
        bytes = Vec::with_capacity((len as usize).min(packed.len().saturating_mul(8)));
        DeflateDecoder::new(&packed[..])
            .take(len + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| damaged(&e.to_string()))?;
    }
    let mut sum = flate2::Crc::new();
    sum.update(&bytes);
    if bytes.len() as u64 != len || sum.sum() != crc {
        return Err(damaged("its checksum in the archive is wrong"));
    }
    Ok(bytes)
}

fn read_at(file: &Positioned, offset: u64, bytes: &mut [u8]) -> std::result::Result<(), Fault> {
    if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > file.len()) {
        return Err(Fault::new(Reason::CutOff, "is cut off: the archive ends before it"));
    }
    file.read(offset, bytes).map_err(|e| Fault::new(Reason::Unreadable, format!("cannot be read: {e}")))
}

/// Unpacks a tar.gz into a file that is gone when it is closed.
fn unpack(path: &Path) -> Result<Positioned> {
    let packed = File::open(path).map_err(|e| Error::cannot_read(path, &e))?;
    let cannot = |what: &str, e: io::Error| {
        Error::failure(format!("{}: {what}: {e}; unpack it and name the folder", path.display()))
    };
    let mut unpacked = tempfile::tempfile()
        .map_err(|e| cannot("this archive is unpacked into a temporary file, which cannot be made", e))?;
    let mut reader = flate2::read::MultiGzDecoder::new(BufReader::new(packed)).take(LARGEST_TAR);
    io::copy(&mut reader, &mut unpacked).map_err(|e| cannot("this archive cannot be unpacked", e))?;
    Positioned::of(unpacked, path)
}

/// Reads a shared file from its start.
struct Cursor<'a> {
    file: &'a Positioned,
    position: u64,
}

impl Read for Cursor<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len().saturating_sub(self.position);
        let len = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.file.read(self.position, &mut bytes[..len]).map_err(io::Error::other)?;
        self.position += len as u64;
        Ok(len)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.file.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (n, (name, bytes)) in files.iter().enumerate() {
            let method =
                if n % 2 == 0 { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    /// A name and what it holds.
    type Contents = (String, std::result::Result<Vec<u8>, Fault>);

    /// What a source holds.
    fn contents(source: &Source) -> Result<Vec<Contents>> {
        let files = source.list()?.files.into_iter();
        Ok(files.map(|e| (e.name.to_string(), source.read(&e.name, e.len, e.place))).collect())
    }

    fn open(path: &Path) -> Result<Source> {
        let kind = if path.is_dir() { None } else { ArchiveKind::of(path)? };
        Source::open(path, kind)
    }

    const FILES: [(&str, &[u8]); 4] =
        [("cat/2.png", b"two"), ("cat/deep/1.png", &[7; 5000]), ("dog/x.png", b""), ("top.png", b"top")];

    #[test]
    fn a_folder_and_its_archives_hold_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        for (name, bytes) in FILES {
            let path = plain.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        for litter in [".DS_Store", "Thumbs.db", "cat/._2.png", "desktop.ini"] {
            std::fs::write(plain.join(litter), "litter").unwrap();
        }
        std::fs::create_dir_all(plain.join("__MACOSX/cat")).unwrap();
        std::fs::write(plain.join("__MACOSX/cat/._2.png"), "litter").unwrap();
        std::fs::create_dir(plain.join("empty")).unwrap();
        let expected: Vec<_> = FILES.map(|(name, bytes)| (name.to_string(), Ok(bytes.to_vec()))).into();
        let source = open(&plain).unwrap();
        assert_eq!(contents(&source).unwrap(), expected);
        let folders: Vec<String> = source.list().unwrap().folders.iter().map(Name::to_string).collect();
        assert_eq!(folders, ["cat", "cat/deep", "dog", "empty"]);
        let with_litter = [
            &FILES[..],
            &[("__MACOSX/cat/._2.png", b"litter"), (".DS_Store", b"litter"), ("./cat/2.png", b"two")],
        ]
        .concat();
        for (name, bytes) in [
            ("set.zip", zipped(&with_litter)),
            ("set.tar", tarred(&with_litter)),
            ("set.anything", packed(&tarred(&with_litter))),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let source = open(&path).unwrap();
            assert_eq!(contents(&source).unwrap(), expected, "{name}");
            assert_eq!(source.list().unwrap().folders.len(), 3);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_round_in_circles() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let set = folder.path().join("set");
        std::fs::create_dir_all(folder.path().join("store/cat")).unwrap();
        std::fs::create_dir(&set).unwrap();
        std::fs::write(folder.path().join("store/cat/1.png"), "one").unwrap();
        symlink("../store/cat", set.join("cat")).unwrap();
        symlink(".", set.join("loop")).unwrap();
        symlink("../../set", folder.path().join("store/cat/back")).unwrap();
        symlink("nowhere.png", set.join("broken.png")).unwrap();
        let found = contents(&open(&set).unwrap()).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].1.as_ref().unwrap_err().reason, Reason::BrokenLink);
        assert_eq!(found[1], ("cat/1.png".into(), Ok(b"one".to_vec())));
    }

    #[test]
    fn truncated_archives_are_errors_or_faults() {
        let folder = tempfile::tempdir().unwrap();
        for (name, whole) in [("a.zip", zipped(&FILES)), ("a.tar", tarred(&FILES))] {
            let path = folder.path().join(name);
            for end in (0..whole.len()).filter(|end| whole.len() < 2000 || end % 37 == 0) {
                std::fs::write(&path, &whole[..end]).unwrap();
                let Ok(Some(kind)) = ArchiveKind::of(&path) else { continue };
                if let Err(error) = Source::open(&path, Some(kind)).and_then(|source| contents(&source)) {
                    assert!(error.to_string().contains(name), "{error}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn mutated_archives_never_panic(
            which in 0usize..3, at: prop::sample::Index, value: u8, second: prop::sample::Index, more: u8,
        ) {
            let mut bytes = match which {
                0 => zipped(&FILES),
                1 => tarred(&FILES),
                _ => packed(&tarred(&FILES)),
            };
            let (at, second) = (at.index(bytes.len()), second.index(bytes.len()));
            bytes[at] = value;
            bytes[second] ^= more;
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a");
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(Some(kind)) = ArchiveKind::of(&path)
                && let Ok(files) = Source::open(&path, Some(kind)).and_then(|source| contents(&source))
            {
                prop_assert!(files.iter().all(|(_, read)| read.as_ref().map_or(0, Vec::len) < 1 << 20));
            }
        }
    }
}
