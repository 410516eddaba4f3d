//! What a set held when it was looked through, file by file.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::decode::Header;
use super::fault::{Fault, Reason};
use super::kind::Kind;
use super::name::Name;

/// How a file of this begins.
const MAGIC: &[u8] = b"gannet pictures 1\n";
/// Of larger files only their start, middle and end enter the hash.
pub(crate) const WHOLE: usize = 1 << 20;
/// The length of each of these.
pub(crate) const PART: usize = 256 << 10;

/// What tells one content from another: 128 bits of a SHA-256 over the length and the bytes; of files of more than
/// 1 MiB over the first, the middle and the last 256 KiB.
pub type Hash = [u8; 16];

/// One file of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name in the set.
    pub name: Name,
    /// Its length in bytes.
    pub len: u64,
    /// When it was changed, in nanoseconds since 1970; the least number where that says nothing.
    pub modified: i64,
    /// What it holds.
    pub hash: Hash,
    /// Its class, where the set has classes.
    pub class: Option<u32>,
    /// What it is, or why it cannot be used.
    pub found: Result<Looks, Fault>,
}

/// A picture as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// Format and size.
    pub header: Header,
    /// The least and the greatest level of a picture of 16 bits.
    pub levels: Option<(u16, u16)>,
}

/// The files of a set: pictures in the order of training, and what was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The pictures that a run is trained on.
    pub pictures: Vec<Seen>,
    /// Files that cannot be used.
    pub left_out: Vec<Seen>,
    /// The names of the classes, in the order of their numbers; empty without classes.
    pub classes: Vec<String>,
}

/// How a set differs from what it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Pictures that hold something else, or are of another class.
    pub changed: Vec<Name>,
    /// Pictures that are not there any more.
    pub gone: Vec<Name>,
    /// Pictures that were not there before.
    pub came: Vec<Name>,
    /// Pictures that cannot be read any more.
    pub spoilt: Vec<Name>,
    /// Where each picture of before is now: the place in the pictures of the other manifest.
    pub places: Vec<Option<usize>>,
}

impl Changes {
    /// Whether the pictures of before are all there, be it that some cannot be read any more, and no others.
    pub fn is_none(&self) -> bool {
        self.changed.is_empty() && self.gone.is_empty() && self.came.is_empty()
    }
}

/// `3 changed (a.png, b.png, c.png), 1 gone (d.png)`.
impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut first = true;
        for (names, what) in [
            (&self.changed, "changed"),
            (&self.gone, "gone"),
            (&self.came, "new"),
            (&self.spoilt, "unreadable"),
        ] {
            if names.is_empty() {
                continue;
            }
            write!(f, "{}{} {what} ({})", if first { "" } else { ", " }, names.len(), listed(names))?;
            first = false;
        }
        if first { f.write_str("nothing") } else { Ok(()) }
    }
}

/// The first few names.
pub(crate) fn listed(names: &[Name]) -> String {
    const MOST: usize = 3;
    let mut text = names.iter().take(MOST).map(Name::to_string).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(&format!(" and {} more", names.len() - MOST));
    }
    text
}

impl Manifest {
    /// How many pictures there are of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for class in self.pictures.iter().filter_map(|picture| picture.class) {
            if let Some(count) = counts.get_mut(class as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// The name of the class of a picture.
    fn class_of(&self, picture: &Seen) -> Option<&str> {
        picture.class.and_then(|class| self.classes.get(class as usize)).map(String::as_str)
    }

    /// How `now` differs from this. A picture is the same if it holds the same and is of the same class, whatever it is
    /// called and wherever the set lies.
    pub fn compare(&self, now: &Manifest) -> Changes {
        let mut changes = Changes { places: vec![None; self.pictures.len()], ..Changes::default() };
        let named: HashMap<&Name, usize> =
            now.pictures.iter().enumerate().map(|(at, picture)| (&picture.name, at)).collect();
        let mut taken = vec![false; now.pictures.len()];
        let same =
            |a: &Seen, b: &Seen| a.len == b.len && a.hash == b.hash && self.class_of(a) == now.class_of(b);
        for (place, picture) in changes.places.iter_mut().zip(&self.pictures) {
            if let Some(&at) = named.get(&picture.name)
                && same(picture, &now.pictures[at])
            {
                (*place, taken[at]) = (Some(at), true);
            }
        }
        // What is left may be called something else now, as in an archive or a folder further up.
        let mut held: HashMap<Hash, Vec<usize>> = HashMap::new();
        for (at, picture) in now.pictures.iter().enumerate().rev().filter(|(at, _)| !taken[*at]) {
            held.entry(picture.hash).or_default().push(at);
        }
        let bad: HashMap<&Name, &Seen> = now.left_out.iter().map(|file| (&file.name, file)).collect();
        for (place, picture) in changes.places.iter_mut().zip(&self.pictures) {
            if place.is_some() {
                continue;
            }
            let candidates = held.get_mut(&picture.hash);
            let found = candidates.and_then(|places| {
                let at = places.iter().rposition(|&at| same(picture, &now.pictures[at]))?;
                Some(places.remove(at))
            });
            if let Some(at) = found {
                (*place, taken[at]) = (Some(at), true);
            } else if let Some(&at) = named.get(&picture.name).filter(|at| !taken[**at]) {
                (*place, taken[at]) = (Some(at), true);
                changes.changed.push(picture.name.clone());
            } else if bad.contains_key(&picture.name) {
                changes.spoilt.push(picture.name.clone());
            } else {
                changes.gone.push(picture.name.clone());
            }
        }
        // What was left out before and has been mended since stays out: the run does not change.
        let out: HashSet<&Name> = self.left_out.iter().map(|file| &file.name).collect();
        let new = now
            .pictures
            .iter()
            .zip(&taken)
            .filter(|(picture, taken)| !**taken && !out.contains(&picture.name));
        changes.came = new.map(|(picture, _)| picture.name.clone()).collect();
        changes
    }

    /// As a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.number(self.classes.len() as u64);
        self.classes.iter().for_each(|class| out.text(class.as_bytes()));
        for files in [&self.pictures, &self.left_out] {
            out.number(files.len() as u64);
            let mut last: &[u8] = &[];
            for file in files {
                // Names that follow one another begin alike.
                let name = file.name.as_bytes();
                let shared = last.iter().zip(name).take_while(|(a, b)| a == b).count();
                out.number(shared as u64);
                out.text(&name[shared..]);
                last = name;
                out.number(file.len);
                out.0.extend_from_slice(&file.modified.to_le_bytes());
                out.0.extend_from_slice(&file.hash);
                out.number(file.class.map_or(0, |class| u64::from(class) + 1));
                match &file.found {
                    Ok(Looks { header, levels }) => {
                        let kind = Kind::ALL.iter().position(|kind| *kind == header.kind).unwrap_or_default();
                        out.0.push(kind as u8);
                        out.number(header.width.into());
                        out.number(header.height.into());
                        let flags = u8::from(header.deep) | u8::from(levels.is_some()) << 1;
                        out.0.extend_from_slice(&[header.channels, flags]);
                        if let Some((low, high)) = levels {
                            out.0.extend_from_slice(&low.to_le_bytes());
                            out.0.extend_from_slice(&high.to_le_bytes());
                        }
                    }
                    Err(fault) => {
                        let reason = Reason::ALL.iter().position(|reason| *reason == fault.reason);
                        out.0.push(FAULT | reason.unwrap_or_default() as u8);
                        out.text(fault.detail.as_bytes());
                    }
                }
            }
        }
        let sum = Sha256::digest(&out.0);
        out.0.extend_from_slice(&sum[..SUM]);
        out.0
    }

    /// From a file. Nothing where it is another, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
        if Sha256::digest(body)[..SUM] != *sum {
            return None;
        }
        let mut rest = Reader(body.strip_prefix(MAGIC)?);
        let count = rest.count()?;
        let classes = (0..count).map(|_| String::from_utf8(rest.text()?.to_vec()).ok());
        let classes = classes.collect::<Option<Vec<_>>>()?;
        let pictures = rest.files()?;
        let left_out = rest.files()?;
        let known = |file: &Seen| file.class.is_none_or(|class| (class as usize) < classes.len());
        let right =
            rest.0.is_empty() && pictures.iter().all(|picture| known(picture) && picture.found.is_ok());
        right.then_some(Manifest { pictures, left_out, classes })
    }
}

/// The bytes of the checksum at the end of a file.
const SUM: usize = 8;
/// Set where a file cannot be used.
const FAULT: u8 = 0x80;

struct Writer(Vec<u8>);

impl Writer {
    /// Seven bits a byte, the lowest first.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number of things that take at least a byte each.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.count()?;
        self.bytes(len)
    }

    fn files(&mut self) -> Option<Vec<Seen>> {
        let count = self.count()?;
        let mut files = Vec::with_capacity(count.min(self.0.len() / 32 + 1));
        let mut name = Vec::new();
        for _ in 0..count {
            let shared = usize::try_from(self.number()?).ok().filter(|shared| *shared <= name.len())?;
            name.truncate(shared);
            name.extend_from_slice(self.text()?);
            let (len, modified, hash) = (self.number()?, i64::from_le_bytes(self.array()?), self.array()?);
            let class = match self.number()? {
                0 => None,
                class => Some(u32::try_from(class - 1).ok()?),
            };
            let tag = self.byte()?;
            let found = if tag & FAULT == 0 {
                let kind = *Kind::ALL.get(usize::from(tag))?;
                let (width, height) =
                    (u32::try_from(self.number()?).ok()?, u32::try_from(self.number()?).ok()?);
                let [channels, flags] = self.array()?;
                let header = Header { kind, width, height, channels, deep: flags & 1 == 1 };
                if width == 0 || height == 0 || !(1..=4).contains(&channels) {
                    return None;
                }
                let levels = if flags & 2 == 2 {
                    Some((u16::from_le_bytes(self.array()?), u16::from_le_bytes(self.array()?)))
                } else {
                    None
                };
                Ok(Looks { header, levels })
            } else {
                let reason = *Reason::ALL.get(usize::from(tag & !FAULT))?;
                Err(Fault { reason, detail: String::from_utf8(self.text()?.to_vec()).ok()? })
            };
            files.push(Seen { name: Name::new(&name), len, modified, hash, class, found });
        }
        Some(files)
    }
}

/// The hash of a file of `len` bytes: all of them, or of a large file what [`parts`] says.
pub(crate) fn hash_of(len: u64, parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(len.to_le_bytes());
    parts.iter().for_each(|part| hash.update(part));
    let digest = hash.finalize();
    digest[..16].try_into().expect("a SHA-256 has 32 bytes")
}

/// Where the parts of a large file begin that enter its hash.
pub(crate) fn parts(len: u64) -> [u64; 3] {
    let last = len - PART as u64;
    [0, last / 2, last]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(name: &str, content: u8, class: Option<u32>) -> Seen {
        let header = Header { kind: Kind::Png, width: 300, height: 20, channels: 3, deep: false };
        Seen {
            name: Name::new(name.as_bytes()),
            len: 1000 + u64::from(content),
            modified: -5,
            hash: hash_of(7, &[&[content]]),
            class,
            found: Ok(Looks { header, levels: (content == 3).then_some((1, 4000)) }),
        }
    }

    fn manifest(pictures: &[(&str, u8, u32)]) -> Manifest {
        let bad = Seen { found: Err(Fault::new(Reason::CutOff, "is cut off")), ..seen("bad.png", 99, None) };
        Manifest {
            pictures: pictures
                .iter()
                .map(|(name, content, class)| seen(name, *content, Some(*class)))
                .collect(),
            left_out: vec![bad],
            classes: vec!["cat".into(), "dog".into()],
        }
    }

    const BEFORE: [(&str, u8, u32); 4] =
        [("cat/1.png", 1, 0), ("cat/2.png", 2, 0), ("dog/1.png", 3, 1), ("dog/2.png", 3, 1)];

    #[test]
    fn a_file_holds_all_of_it_and_little_more() {
        let one = manifest(&BEFORE);
        assert_eq!(Manifest::from_bytes(&one.to_bytes()), Some(one));
        assert_eq!(Manifest::from_bytes(&Manifest::default().to_bytes()), Some(Manifest::default()));
        let names: Vec<String> = (0..1000).map(|n| format!("some/folder/{n:06}.png")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), 7, 0)).collect();
        assert!(manifest(&many).to_bytes().len() < 45 * 1000, "{}", manifest(&many).to_bytes().len());
    }

    #[test]
    fn the_same_pictures_are_found_under_other_names() {
        let before = manifest(&BEFORE);
        assert!(before.compare(&before).is_none());
        let moved =
            manifest(&[("set/dog/x.png", 3, 1), ("set/cat/1.png", 1, 0), ("a.png", 2, 0), ("b.png", 3, 1)]);
        let changes = before.compare(&moved);
        assert!(changes.is_none(), "{changes}");
        assert_eq!(changes.places, [Some(1), Some(2), Some(0), Some(3)]);
    }

    #[test]
    fn what_changed_is_gone_or_came_is_named() {
        let before = manifest(&BEFORE);
        // The first is another picture, the second is a dog now, the third is gone, a fifth came, the fourth is broken.
        let mut now = manifest(&[("cat/1.png", 9, 0), ("cat/2.png", 2, 1), ("dog/5.png", 8, 1)]);
        now.left_out.push(Seen {
            found: Err(Fault::new(Reason::Damaged, "is damaged")),
            ..seen("dog/2.png", 3, None)
        });
        let changes = before.compare(&now);
        assert!(!changes.is_none());
        assert_eq!(
            changes.to_string(),
            "2 changed (cat/1.png, cat/2.png), 1 gone (dog/1.png), 1 new (dog/5.png), 1 unreadable (dog/2.png)"
        );
        // Mended since: the run goes on without it, as before.
        let mut mended = before.clone();
        let mut last = mended.left_out.pop().unwrap();
        last.found = before.pictures[0].found.clone();
        mended.pictures.push(last);
        assert!(before.compare(&mended).is_none());
        // Only broken: the run can go on with others in its place.
        let mut now = before.clone();
        let mut last = now.pictures.pop().unwrap();
        last.found = Err(Fault::new(Reason::Damaged, "is damaged"));
        now.left_out.push(last);
        let changes = before.compare(&now);
        assert!(changes.is_none() && changes.spoilt.len() == 1 && changes.places[3].is_none());
        let names: Vec<Name> = (0..9).map(|n| Name::new(format!("{n}").as_bytes())).collect();
        assert_eq!(listed(&names), "0, 1, 2 and 6 more");
    }

    /// With a checksum that is right, so that what lies behind it is reached.
    fn signed(body: &[u8]) -> Vec<u8> {
        let mut bytes = body.to_vec();
        bytes.extend_from_slice(&Sha256::digest(body)[..SUM]);
        bytes
    }

    #[test]
    fn truncated_files_are_refused() {
        let whole = manifest(&BEFORE).to_bytes();
        for end in 0..whole.len() {
            assert_eq!(Manifest::from_bytes(&whole[..end]), None);
            if end < whole.len() - SUM {
                assert_eq!(Manifest::from_bytes(&signed(&whole[..end])), None, "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn mutated_files_never_panic(at: prop::sample::Index, value: u8, second: prop::sample::Index, other: u8) {
            let whole = manifest(&BEFORE).to_bytes();
            let mut body = whole[..whole.len() - SUM].to_vec();
            let (at, second) = (at.index(body.len()), second.index(body.len()));
            body[at] = value;
            body[second] = other;
            if let Some(read) = Manifest::from_bytes(&signed(&body)) {
                prop_assert!(read.pictures.len() <= body.len() && read.class_counts().len() == read.classes.len());
            }
        }
    }
}
