//! Looks at every file of a set before anything is trained on it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::decode::{self, LARGEST, check_end, check_whole, decode, header, kind_of};
use super::fault::{Fault, Reason};
use super::kind::{self, Kind, names_a_picture};
use super::labels::{self, Classes};
use super::manifest::{Hash, Looks, Manifest, PART, Seen, WHOLE, hash_of, listed, parts};
use super::name::Name;
use super::source::{ArchiveKind, Entry, Listing, NO_TIME, Place, Source};
use crate::error::{Error, Result};
use crate::files;
use crate::listener::{Listener, Progress};
use crate::split::Split;

/// Pictures whose pixels take so many bytes are decoded when they are looked at; of larger PNGs and JPEGs the structure
/// is checked, which is quicker.
const DECODED: u64 = 64 << 10;
/// The same for the other formats, which have no checksums.
const DECODED_OTHERS: u64 = 4 << 20;
/// Sets of fewer files are looked at each time.
const CACHED: usize = 1000;
/// What was seen of so many sets is kept.
const KEPT: usize = 64;
/// How many files are looked at between two reports.
const REPORT: usize = 64;

/// How a set is looked through.
#[derive(Clone, Copy)]
pub(crate) struct ScanOptions<'a> {
    /// Any file that claims to be a picture and cannot be used is an error.
    pub(crate) strict: bool,
    /// Classes are not looked for.
    pub(crate) no_classes: bool,
    /// Hears how far it has come.
    pub(crate) listener: &'a dyn Listener,
    /// Where what was seen is kept, so that files which have not changed since are not looked at again.
    pub(crate) cache: Option<&'a Path>,
}

/// A set that has been looked through.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) source: Source,
    pub(crate) manifest: Manifest,
    /// Where the bytes of each picture of the manifest are.
    pub(crate) places: Vec<Place>,
    /// Files that are no pictures and do not claim to be.
    pub(crate) others: usize,
    /// What people should know: empty classes, rows without pictures.
    pub(crate) notes: Vec<String>,
}

/// Opens one part of a folder or an archive. Nothing where there are no pictures, nor files that claim to be.
pub(crate) fn scan(
    path: &Path,
    archive: Option<ArchiveKind>,
    split: Split,
    options: ScanOptions<'_>,
) -> Result<Option<Scan>> {
    let source = Source::open(path, archive)?;
    let listing = source.list()?;
    let Some(part) = part_of(&listing, split) else { return Ok(None) };
    let within = |name: &Name| is_within(name.as_bytes(), &part);
    let entries: Vec<&Entry> = listing.files.iter().filter(|entry| within(&entry.name)).collect();
    let cache =
        options.cache.filter(|_| entries.len() >= CACHED).map(|folder| cache_file(folder, path, &part));
    let known = cache.as_deref().map(read_cache).unwrap_or_default();
    let (seen, fresh) = look_at_all(&source, &entries, &known, options.listener);
    if let Some(cache) = cache.filter(|_| fresh) {
        write_cache(&cache, &seen);
    }

    let (mut pictures, mut places, mut left_out, mut others) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (file, entry) in seen.into_iter().zip(&entries) {
        match &file.found {
            Ok(_) => {
                places.push(entry.place);
                pictures.push(file);
            }
            // A text, a table, whatever lies beside pictures.
            Err(fault)
                if !names_a_picture(&file.name.text())
                    && matches!(fault.reason, Reason::NotAPicture | Reason::Empty | Reason::BrokenLink) =>
            {
                others += 1;
            }
            Err(_) => left_out.push(file),
        }
    }
    if pictures.is_empty() && left_out.is_empty() {
        return Ok(None);
    }
    let mut found = Scan { source, manifest: Manifest::default(), places, others, notes: Vec::new() };
    found.label(pictures, left_out, &listing, &part, options)?;
    found.check(options.strict)?;
    Ok(Some(found))
}

impl Scan {
    /// Gives each picture its class and sorts them by it.
    fn label(
        &mut self,
        pictures: Vec<Seen>,
        mut left_out: Vec<Seen>,
        listing: &Listing,
        part: &[u8],
        options: ScanOptions<'_>,
    ) -> Result<()> {
        let Classes { of, names, notes } = {
            let named: Vec<&Name> = pictures.iter().map(|picture| &picture.name).collect();
            if options.no_classes {
                Classes { of: vec![None; named.len()], ..Classes::default() }
            } else {
                self.classes(&named, listing, part)?
            }
        };
        self.notes.extend(notes);
        let labelled = !names.is_empty();
        let mut together = Vec::with_capacity(pictures.len());
        for ((mut picture, class), place) in pictures.into_iter().zip(of).zip(&self.places) {
            picture.class = class;
            if labelled && class.is_none() {
                picture.found = Err(Fault::new(Reason::NoLabel, "has no label"));
                left_out.push(picture);
            } else {
                together.push((picture, *place));
            }
        }
        together.sort_by(|(a, _), (b, _)| a.class.cmp(&b.class).then_with(|| a.name.cmp(&b.name)));
        let (pictures, places) = together.into_iter().unzip();
        self.places = places;
        self.manifest = Manifest { pictures, left_out, classes: names };
        Ok(())
    }

    /// Gives the classes the numbers that they have among `names`; pictures of others are left out.
    pub(crate) fn with_classes_of(&mut self, names: &[String]) {
        let numbers: HashMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
        let Manifest { pictures, left_out, classes } = std::mem::take(&mut self.manifest);
        let mut kept = Vec::with_capacity(pictures.len());
        let mut left_out = left_out;
        for (mut picture, place) in pictures.into_iter().zip(std::mem::take(&mut self.places)) {
            let name = picture.class.and_then(|class| classes.get(class as usize));
            picture.class = name.and_then(|name| numbers.get(name.as_str()).copied());
            if picture.class.is_none() && !names.is_empty() {
                picture.found = Err(Fault::new(Reason::NoLabel, "is of no class of the training pictures"));
                left_out.push(picture);
            } else {
                kept.push((picture, place));
            }
        }
        kept.sort_by(|(a, _), (b, _)| a.class.cmp(&b.class).then_with(|| a.name.cmp(&b.name)));
        let (pictures, places) = kept.into_iter().unzip();
        self.places = places;
        self.manifest = Manifest { pictures, left_out, classes: names.to_vec() };
    }

    /// The classes from a file of labels, if there is one, or from folders.
    fn classes(&mut self, names: &[&Name], listing: &Listing, part: &[u8]) -> Result<Classes> {
        // Beside the pictures first, then further up.
        let mut base = part;
        loop {
            for file in labels::FILES {
                let name = if base.is_empty() { file.into() } else { [base, b"/", file.as_bytes()].concat() };
                let name = Name::new(&name);
                let Ok(at) = listing.files.binary_search_by(|entry| entry.name.cmp(&name)) else { continue };
                let entry = &listing.files[at];
                let wrong =
                    |what: String| Error::failure(format!("{}: {what}", self.source.name_of(&entry.name)));
                if entry.len > labels::LARGEST {
                    return Err(wrong(format!("has {} bytes, the most is {}", entry.len, labels::LARGEST)));
                }
                let bytes = self
                    .source
                    .read(&entry.name, entry.len, entry.place)
                    .map_err(|fault| wrong(fault.to_string()))?;
                let rows = match file {
                    "dataset.json" => labels::read_json(&bytes),
                    file => labels::read_csv(&bytes, file == "labels.csv"),
                };
                if let Some(rows) = rows.map_err(wrong)? {
                    let classes = labels::of_rows(&rows, names, base, file);
                    if classes.names.is_empty() && !names.is_empty() {
                        return Err(wrong(format!(
                            "names none of the pictures; it begins with {}, the first picture is {}",
                            rows[0].0, names[0]
                        )));
                    }
                    return Ok(classes);
                }
            }
            if base.is_empty() {
                break;
            }
            base = &base[..base.iter().rposition(|&byte| byte == b'/').unwrap_or(0)];
        }
        let mut classes = labels::of_folders(names).map_err(|[beside, inside]| {
            let name = self.source.path().display();
            Error::failure(format!(
                "{name}: has pictures ({beside}) and, in folders, more ({inside}): put all into folders, one for each \
                 class, or take them all without classes by --classes none"
            ))
        })?;
        let folders: Vec<Name> =
            listing.folders.iter().filter(|name| is_within(name.as_bytes(), part)).cloned().collect();
        let empty = labels::empty_classes(names, &folders);
        if !empty.is_empty() {
            let (folder, is) = if empty.len() == 1 { ("folder", "is") } else { ("folders", "are") };
            let names: Vec<Name> = empty.iter().map(|name| Name::new(name.as_bytes())).collect();
            classes.notes.push(format!("the {folder} {} without pictures {is} no class", listed(&names)));
        }
        Ok(classes)
    }

    /// Errors when nothing is left, or when something was left out and none may be.
    fn check(&self, strict: bool) -> Result<()> {
        let Manifest { pictures, left_out, .. } = &self.manifest;
        if strict && let Some(first) = left_out.first() {
            let more = match left_out.len() {
                1 => String::new(),
                2 => "; 1 more file cannot be used".into(),
                count => format!("; {} more files cannot be used", count - 1),
            };
            return Err(Error::failure(format!(
                "{}: {}{more}",
                self.source.name_of(&first.name),
                said(first)
            )));
        }
        if pictures.is_empty() {
            let name = self.source.path().display();
            let first = &left_out[0];
            if left_out.len() == 1 {
                return Err(Error::failure(format!("{}: {}", self.source.name_of(&first.name), said(first))));
            }
            return Err(Error::failure(format!(
                "{name}: none of {} can be used: {}; the first is {}, which {}",
                files_of(left_out.len()),
                reasons(left_out),
                first.name,
                said(first)
            )));
        }
        Ok(())
    }
}

fn said(file: &Seen) -> String {
    file.found.as_ref().err().map(ToString::to_string).unwrap_or_default()
}

fn files_of(count: usize) -> String {
    format!("{count} {}", if count == 1 { "file" } else { "files" })
}

/// How many were left out for which reason: `3 cut off, 1 empty`.
pub(crate) fn reasons(left_out: &[Seen]) -> String {
    let mut counts: HashMap<Reason, usize> = HashMap::new();
    for fault in left_out.iter().filter_map(|file| file.found.as_ref().err()) {
        *counts.entry(fault.reason).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(reason, count)| (std::cmp::Reverse(count), reason));
    counts.iter().map(|(reason, count)| reason.counted(*count)).collect::<Vec<_>>().join(", ")
}

fn is_within(name: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || name.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"))
}

/// The folder of one part: a set has parts where it has a folder `train`, and no pictures beside it. Nothing where it has
/// no such part. Folders that alone hold everything are passed through, as archives unpack.
fn part_of(listing: &Listing, split: Split) -> Option<Vec<u8>> {
    let mut base = Vec::new();
    loop {
        let below = |name: &Name| -> Option<(Vec<u8>, bool)> {
            let rest = if base.is_empty() {
                name.as_bytes()
            } else {
                name.as_bytes().strip_prefix(&base[..])?.strip_prefix(b"/")?
            };
            let end = rest.iter().position(|&byte| byte == b'/');
            Some((rest[..end.unwrap_or(rest.len())].to_vec(), end.is_some()))
        };
        let mut folders = HashSet::new();
        let mut beside = false;
        for entry in &listing.files {
            match below(&entry.name) {
                Some((folder, true)) => _ = folders.insert(folder),
                Some((name, false)) => beside |= names_a_picture(&String::from_utf8_lossy(&name)),
                None => {}
            }
        }
        let into = |folder: &[u8]| {
            if base.is_empty() { folder.to_vec() } else { [&base[..], b"/", folder].concat() }
        };
        let named = |wanted: &str| {
            folders.iter().find(|folder| folder.eq_ignore_ascii_case(wanted.as_bytes())).map(|f| into(f))
        };
        if !beside && let Some(train) = named("train") {
            return match split {
                Split::Train => Some(train),
                Split::Test => ["test", "val", "valid", "validation"].into_iter().find_map(named),
            };
        }
        match folders.iter().next() {
            Some(only) if !beside && folders.len() == 1 => base = into(only),
            _ => return (split == Split::Train).then(Vec::new),
        }
    }
}

/// Looks at all files, those that have not changed since last time excepted, by as many threads as there are. Tells
/// also whether any was looked at.
fn look_at_all(
    source: &Source,
    entries: &[&Entry],
    known: &HashMap<Name, Seen>,
    listener: &dyn Listener,
) -> (Vec<Seen>, bool) {
    let (done, fresh) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let seen = entries
        .par_iter()
        .map(|entry| {
            let before = known.get(&entry.name).filter(|before| {
                before.len == entry.len && before.modified == entry.modified && entry.modified != NO_TIME
            });
            let seen = before.cloned().unwrap_or_else(|| {
                fresh.fetch_add(1, Ordering::Relaxed);
                look_at(source, entry)
            });
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(REPORT) {
                listener.progress(Progress::Files { done, total: entries.len() });
            }
            seen
        })
        .collect();
    listener.progress(Progress::Ended);
    (seen, fresh.into_inner() > 0 || known.len() != entries.len())
}

/// Looks at one file.
fn look_at(source: &Source, entry: &Entry) -> Seen {
    let mut hash = Hash::default();
    let found = examine(source, entry, &mut hash);
    Seen { name: entry.name.clone(), len: entry.len, modified: entry.modified, hash, class: None, found }
}

fn examine(source: &Source, entry: &Entry, hash: &mut Hash) -> std::result::Result<Looks, Fault> {
    if entry.place == Place::Nowhere {
        return Err(Fault::new(Reason::BrokenLink, "is a broken link"));
    }
    if entry.len == 0 {
        return Err(Fault::new(Reason::Empty, "is empty"));
    }
    if let Some(path) = source.file(&entry.name).filter(|_| entry.len > WHOLE as u64) {
        return examine_large(&path, entry.len, hash);
    }
    let bytes = source.read(&entry.name, entry.len, entry.place)?;
    *hash = hash_of_bytes(&bytes);
    let kind = kind_of(&bytes[..bytes.len().min(kind::START)])?;
    let header = header(Cursor::new(&bytes), kind)?;
    let most = if matches!(kind, Kind::Png | Kind::Jpeg) { DECODED } else { DECODED_OTHERS };
    if header.deep || header.bytes() <= most {
        let image = decode(&bytes)?;
        return Ok(Looks { header, levels: decode::levels(&image) });
    }
    check_whole(&bytes, kind)?;
    Ok(Looks { header, levels: None })
}

/// Of a large file only the header, the end, and what enters the hash is read.
fn examine_large(path: &Path, len: u64, hash: &mut Hash) -> std::result::Result<Looks, Fault> {
    let mut file = File::open(path)?;
    let mut read = |offset: u64| -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; PART];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let [start, middle, end] = parts(len);
    let start = read(start)?;
    let kind = kind_of(&start[..kind::START])?;
    if len > LARGEST {
        return Err(Fault::new(
            Reason::TooLarge,
            format!("is too large: it has {len} bytes, the most for a picture is {LARGEST}"),
        ));
    }
    let (middle, end) = (read(middle)?, read(end)?);
    *hash = hash_of(len, &[&start, &middle, &end]);
    // A decoder of JPEG takes all that it is given.
    let header = match kind {
        Kind::Jpeg => header(Cursor::new(&start), kind)
            .or_else(|_| header(Cursor::new(std::fs::read(path).map_err(Fault::from)?), kind))?,
        kind => header(BufReader::new(File::open(path)?), kind)?,
    };
    check_end(&end, kind)?;
    let levels = if header.deep { decode::levels(&decode(&std::fs::read(path)?)?) } else { None };
    Ok(Looks { header, levels })
}

/// The hash of a file that is in memory.
pub(crate) fn hash_of_bytes(bytes: &[u8]) -> Hash {
    let len = bytes.len() as u64;
    if bytes.len() <= WHOLE {
        return hash_of(len, &[bytes]);
    }
    let [start, middle, end] = parts(len).map(|start| &bytes[start as usize..][..PART]);
    hash_of(len, &[start, middle, end])
}

/// Where what was seen of a set is kept.
fn cache_file(folder: &Path, set: &Path, part: &[u8]) -> PathBuf {
    let path = std::path::absolute(set).unwrap_or_else(|_| set.into());
    let hash = hash_of(0, &[path.as_os_str().as_encoded_bytes(), b"\0", part]);
    folder.join("scans").join(format!("{}.pictures", files::hexadecimal(&hash)))
}

fn read_cache(path: &Path) -> HashMap<Name, Seen> {
    let manifest = std::fs::read(path).ok().and_then(|bytes| Manifest::from_bytes(&bytes));
    let Manifest { pictures, left_out, .. } = manifest.unwrap_or_default();
    pictures.into_iter().chain(left_out).map(|file| (file.name.clone(), file)).collect()
}

/// Without a place to write to, the files are looked at again next time.
fn write_cache(path: &Path, seen: &[Seen]) {
    let (pictures, left_out): (Vec<Seen>, Vec<Seen>) =
        seen.iter().cloned().partition(|file| file.found.is_ok());
    let manifest = Manifest { pictures, left_out, classes: Vec::new() };
    if path.parent().is_some_and(|folder| std::fs::create_dir_all(folder).is_ok()) {
        let _ = files::write_whole(path, &manifest.to_bytes());
        let _ = path.parent().map_or(Ok(()), sweep);
    }
}

/// Removes what has not been written for longest.
fn sweep(folder: &Path) -> std::io::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    files.iter().take(files.len().saturating_sub(KEPT)).try_for_each(|(_, path)| std::fs::remove_file(path))
}
