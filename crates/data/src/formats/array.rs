//! NumPy's arrays as images: `.npy`, and `.npz` with labels beside them.
//!
//! The format is that of `numpy.lib.format`, versions 1 to 3: a magic string, the length of a header, and the header, a
//! Python dictionary of the element type, the order and the shape.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flate2::read::DeflateDecoder;

use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::image_shape::ImageShape;
use crate::images::{Images, Scratch};
use crate::pictures::{Levels, zip_contents};
use crate::positioned::Positioned;
use crate::split::Split;
use crate::stored::Stored;

/// How a file begins.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";
/// The most bytes of a header.
const LARGEST_HEADER: usize = 1 << 16;
/// The most bytes of a packed array, which is unpacked into memory, and of labels.
const LARGEST_PACKED: u64 = 4 << 30;
/// The most bytes of one image.
const LARGEST_IMAGE: usize = 256 << 20;
/// The bytes that are looked at together for the range of the numbers.
const BLOCK: usize = 1 << 20;

/// What arrays of images are called in a .npz, for training and for tests.
const TRAIN: [&str; 8] = ["images", "x_train", "train_images", "x", "X", "data", "imgs", "arr_0"];
const TEST: [&str; 3] = ["x_test", "test_images", "images_test"];
/// What their labels are called.
const TRAIN_LABELS: [&str; 7] = ["labels", "y_train", "train_labels", "y", "targets", "label", "arr_1"];
const TEST_LABELS: [&str; 3] = ["y_test", "test_labels", "labels_test"];

/// Images of a NumPy array, with what else its file says.
#[derive(Debug)]
pub(crate) struct ArraySet {
    pub(crate) stored: Stored,
    /// The labels that occur, in the order of their classes.
    pub(crate) classes: Vec<String>,
    /// What people should know: which numbers became black and white.
    pub(crate) notes: Vec<String>,
}

/// Opens a .npy, with a file of labels beside it (`labels.npy` for `images.npy`) if there is one. Errors name the file
/// and say what was expected.
pub(crate) fn open_npy(path: &Path) -> Result<ArraySet> {
    let array = Array::open(&path.display().to_string(), Bytes::File(Positioned::open(path)?, 0))?;
    let beside = path
        .file_name()
        .and_then(|name| name.to_str())
        .filter(|name| name.contains("images"))
        .map(|name| path.with_file_name(name.replace("images", "labels")))
        .filter(|labels| labels.exists());
    let labels = beside
        .map(|path| Array::open(&path.display().to_string(), Bytes::File(Positioned::open(&path)?, 0)))
        .transpose()?;
    join(array, labels)
}

/// Opens one part of a .npz. Nothing where it has no such part.
pub(crate) fn open_npz(path: &Path, split: Split) -> Result<Option<ArraySet>> {
    let contents = zip_contents(path)?;
    let names: Vec<&str> =
        contents.iter().map(|(name, _)| name.strip_suffix(".npy").unwrap_or(name)).collect();
    let open = |at: usize| {
        Array::open(&format!("{}/{}", path.display(), contents[at].0), read(path, &contents[at].1)?)
    };
    let known = |known: &[&str]| known.iter().find_map(|known| names.iter().position(|name| name == known));
    let (images, labels) = match split {
        Split::Train => (&TRAIN[..], &TRAIN_LABELS[..]),
        Split::Test => (&TEST[..], &TEST_LABELS[..]),
    };
    let images = match known(images) {
        Some(at) => at,
        None if split == Split::Test => return Ok(None),
        // The one array whose name says nothing.
        None if names.len() == 1 => 0,
        None => {
            return Err(Error::failure(format!(
                "{}: holds the arrays {}; expected one called images, and perhaps one called labels",
                path.display(),
                names.join(", ")
            )));
        }
    };
    let labels = known(labels).filter(|at| *at != images).map(open).transpose()?;
    join(open(images)?, labels).map(Some)
}

/// The bytes of an array in a zip archive: where they lie if they are not packed.
fn read(path: &Path, (start, packed, deflated, len): &(u64, u64, bool, u64)) -> Result<Bytes> {
    let file = Positioned::open(path)?;
    if !deflated {
        return Ok(Bytes::File(file, *start));
    }
    let wrong = |what: String| Error::failure(format!("{}: {what}", path.display()));
    if *len > LARGEST_PACKED || *packed > file.len() {
        return Err(wrong(format!(
            "a packed array of {len} bytes, the most is {LARGEST_PACKED}; save it by numpy.savez, which does not pack"
        )));
    }
    let mut bytes = vec![0; *packed as usize];
    file.read(*start, &mut bytes)?;
    let mut unpacked = Vec::new();
    DeflateDecoder::new(&bytes[..])
        .take(*len)
        .read_to_end(&mut unpacked)
        .map_err(|e| wrong(format!("this archive is damaged: {e}")))?;
    Ok(Bytes::Memory(unpacked))
}

/// Where the bytes of an array are.
#[derive(Debug)]
enum Bytes {
    /// In a file from this byte on.
    File(Positioned, u64),
    Memory(Vec<u8>),
}

impl Bytes {
    fn len(&self) -> u64 {
        match self {
            Bytes::File(file, start) => file.len().saturating_sub(*start),
            Bytes::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// # Panics
    /// If they are not all there.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        match self {
            Bytes::File(file, start) => file.read(start + offset, bytes),
            Bytes::Memory(all) => {
                bytes.copy_from_slice(&all[offset as usize..][..bytes.len()]);
                Ok(())
            }
        }
    }
}

/// The type of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Element {
    /// `b` bool, `u` and `i` whole numbers, `f` floating point.
    kind: u8,
    bytes: usize,
    big_endian: bool,
}

impl Element {
    fn parse(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let order = bytes.next()?;
        let kind = bytes.next()?;
        let size = match bytes.next()? {
            digit @ b'1'..=b'8' if bytes.next().is_none() => usize::from(digit - b'0'),
            _ => return None,
        };
        let known = matches!((kind, size), (b'b', 1) | (b'u' | b'i', 1 | 2 | 4 | 8) | (b'f', 4 | 8));
        let ordered = matches!(order, b'<' | b'>' | b'=') || (order == b'|' && size == 1);
        (known && ordered).then_some(Element { kind, bytes: size, big_endian: order == b'>' })
    }

    /// The number in these bytes.
    fn number(self, bytes: &[u8]) -> f64 {
        let mut raw = [0; 8];
        if self.big_endian {
            raw.iter_mut().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from);
        } else {
            raw[..bytes.len()].copy_from_slice(bytes);
        }
        let bits = u64::from_le_bytes(raw);
        match (self.kind, self.bytes) {
            (b'f', 4) => f64::from(f32::from_bits(bits as u32)),
            (b'f', _) => f64::from_bits(bits),
            (b'i', 1) => f64::from(bits as u8 as i8),
            (b'i', 2) => f64::from(bits as u16 as i16),
            (b'i', 4) => f64::from(bits as u32 as i32),
            (b'i', _) => bits as i64 as f64,
            _ => bits as f64,
        }
    }
}

/// An array in a file.
#[derive(Debug)]
struct Array {
    name: String,
    bytes: Bytes,
    /// Where the elements begin.
    start: u64,
    element: Element,
    shape: Vec<usize>,
}

impl Array {
    fn open(name: &str, bytes: Bytes) -> Result<Self> {
        let wrong = |what: String| Error::failure(format!("{name}: {what}"));
        let mut head = vec![0; (LARGEST_HEADER as u64).min(bytes.len()) as usize];
        bytes.read(0, &mut head)?;
        let (element, shape, start) = parse_header(&head).map_err(wrong)?;
        let count =
            shape.iter().try_fold(element.bytes as u64, |count, &size| count.checked_mul(size as u64));
        match count {
            Some(count) if start + count <= bytes.len() => {}
            _ => {
                return Err(wrong(format!(
                    "is cut off: an array of shape {shape:?} does not fit into {} bytes",
                    bytes.len()
                )));
            }
        }
        Ok(Array { name: name.into(), bytes, start, element, shape })
    }

    /// Calls `each` with every element.
    fn for_each(&self, mut each: impl FnMut(f64)) -> Result<()> {
        let count: usize = self.shape.iter().product();
        let (size, mut at) = (self.element.bytes, 0);
        let mut block = vec![0; (BLOCK / size * size).min(count * size)];
        while at < count * size {
            let len = block.len().min(count * size - at);
            let block = &mut block[..len];
            self.bytes.read(self.start + at as u64, block)?;
            block.chunks_exact(size).for_each(|bytes| each(self.element.number(bytes)));
            at += len;
        }
        Ok(())
    }
}

/// The elements, the shape and where the elements begin.
fn parse_header(bytes: &[u8]) -> Result<(Element, Vec<usize>, u64), String> {
    let cut = || "is cut off: the header of a NumPy array is not whole".to_string();
    let rest = bytes.strip_prefix(MAGIC).ok_or("is no NumPy array")?;
    let (&[version, _], rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (len, rest) = match version {
        1 => rest.split_first_chunk::<2>().map(|(len, rest)| (usize::from(u16::from_le_bytes(*len)), rest)),
        2 | 3 => rest.split_first_chunk::<4>().map(|(len, rest)| (u32::from_le_bytes(*len) as usize, rest)),
        version => return Err(format!("is a NumPy array of version {version}; versions 1 to 3 are read")),
    }
    .ok_or_else(cut)?;
    let header = rest.get(..len).ok_or_else(cut)?;
    let start = bytes.len() - rest.len() + len;
    let text = String::from_utf8_lossy(header);
    let value = |key: &str| {
        let after = text.split_once(&format!("'{key}'"))?.1.trim_start().strip_prefix(':')?;
        Some(after.trim_start())
    };
    let wrong = || format!("has a header that is none of NumPy's: {}", text.trim().escape_debug());
    let descr = value("descr").ok_or_else(wrong)?;
    let element = descr
        .strip_prefix('\'')
        .and_then(|rest| rest.split_once('\''))
        .map(|(descr, _)| descr)
        .ok_or_else(|| "holds records; expected an array of numbers".to_string())?;
    let element = Element::parse(element).ok_or_else(|| {
        format!("holds elements of type {element}; expected whole numbers (u1, u2, i4 ...), f4 or f8")
    })?;
    let fortran = value("fortran_order").ok_or_else(wrong)?.starts_with("True");
    let inside = value("shape").and_then(|text| text.strip_prefix('(')?.split_once(')')).ok_or_else(wrong)?.0;
    let shape: Option<Vec<usize>> = inside
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().ok())
        .collect();
    let shape = shape.ok_or_else(wrong)?;
    if fortran && shape.len() > 1 {
        return Err("is stored in Fortran's order; save numpy.ascontiguousarray of it".into());
    }
    Ok((element, shape, start as u64))
}

/// Joins images with their labels.
fn join(images: Array, labels: Option<Array>) -> Result<ArraySet> {
    let wrong = |what: String| Error::failure(format!("{}: {what}", images.name));
    let channels = |size: usize| [1, 3, 4].contains(&size);
    let (count, shape, planes) = match *images.shape {
        [count, height, width] => (count, ImageShape { height, width, channels: 1 }, false),
        [count, height, width, last] if channels(last) => {
            (count, ImageShape { height, width, channels: last }, false)
        }
        [count, first, height, width] if channels(first) => {
            (count, ImageShape { height, width, channels: first }, true)
        }
        _ => {
            return Err(wrong(format!(
                "has the shape {:?}; expected [N, height, width] or [N, height, width, 1, 3 or 4]",
                images.shape
            )));
        }
    };
    if count == 0 || shape.is_empty() || shape.len().saturating_mul(8) > LARGEST_IMAGE {
        return Err(wrong(format!(
            "has the shape {:?}, which holds no images that can be read",
            images.shape
        )));
    }
    let mut notes = Vec::new();
    let (low, high) = range(&images, &mut notes)?;
    let mut fingerprint = Fingerprint::default();
    fingerprint.text(format!("{count} x {} x {} x {}", shape.height, shape.width, shape.channels));
    let len = count as u64 * (shape.len() * images.element.bytes) as u64;
    fingerprint.part(len, |offset, bytes| images.bytes.read(images.start + offset, bytes))?;
    let (mut of, mut classes) = (Vec::new(), Vec::new());
    if let Some(labels) = labels {
        if labels.shape.iter().product::<usize>() != count || labels.element.kind == b'f' {
            return Err(Error::failure(format!(
                "{}: has the shape {:?}; expected {count} whole numbers, a label for each image",
                labels.name, labels.shape
            )));
        }
        let mut values = Vec::with_capacity(count);
        labels.for_each(|value| values.push(value as i64))?;
        values.iter().for_each(|value| fingerprint.text(value));
        let mut different = values.clone();
        different.sort_unstable();
        different.dedup();
        if different.len() > 1 {
            of = values
                .iter()
                .map(|value| different.binary_search(value).expect("it is one of them") as u32)
                .collect();
            classes = different.iter().map(ToString::to_string).collect();
        }
    }
    let images =
        ArrayImages { array: images, count, shape, planes, low, high, labels: of, classes: classes.len() };
    Ok(ArraySet { stored: Stored { images: Arc::new(images), sha256: fingerprint.finish() }, classes, notes })
}

/// Which numbers become black and white.
fn range(images: &Array, notes: &mut Vec<String>) -> Result<(f64, f64)> {
    let Element { kind, bytes, .. } = images.element;
    match (kind, bytes) {
        (b'b', _) => return Ok((0.0, 1.0)),
        (b'u', 1) => return Ok((0.0, 255.0)),
        _ => {}
    }
    let (mut low, mut high, mut finite) = (f64::INFINITY, f64::NEG_INFINITY, true);
    images.for_each(|value| {
        finite &= value.is_finite();
        (low, high) = (low.min(value), high.max(value));
    })?;
    if !finite {
        return Err(Error::failure(format!("{}: holds numbers that are not finite", images.name)));
    }
    let chosen = match kind {
        b'f' if low >= 0.0 && high <= 1.0 => (0.0, 1.0),
        b'f' if low >= -1.0 && high <= 1.0 => (-1.0, 1.0),
        _ if low >= 0.0 && high <= 255.0 => (0.0, 255.0),
        b'u' if bytes == 2 => {
            let (low, high) = Levels::of_set(low as u16, high as u16).range();
            (f64::from(low), f64::from(high))
        }
        _ if low < high => (low, high),
        _ => (low, low + 1.0),
    };
    notes.push(format!(
        "the numbers of the array are {low} to {high}; {} becomes black and {} white",
        chosen.0, chosen.1
    ));
    Ok(chosen)
}

/// The images of an array, read where they lie.
#[derive(Debug)]
struct ArrayImages {
    array: Array,
    count: usize,
    shape: ImageShape,
    /// Channels come first.
    planes: bool,
    low: f64,
    high: f64,
    /// Empty without classes.
    labels: Vec<u32>,
    classes: usize,
}

impl Images for ArrayImages {
    fn len(&self) -> usize {
        self.count
    }

    fn shape(&self) -> ImageShape {
        self.shape
    }

    fn classes(&self) -> Option<usize> {
        (self.classes > 0).then_some(self.classes)
    }

    fn read(&self, index: usize, pixels: &mut [u8], scratch: &mut Scratch) -> Result<u32> {
        let Array { bytes, start, element, .. } = &self.array;
        let ImageShape { height, width, channels } = self.shape;
        assert!(index < self.count && pixels.len() == self.shape.len());
        let len = self.shape.len() * element.bytes;
        let mut raw = scratch.take(len);
        let result = bytes.read(start + index as u64 * len as u64, &mut raw);
        let as_is = (element.kind, element.bytes) == (b'u', 1);
        for (k, bytes) in raw.chunks_exact(element.bytes).enumerate() {
            let place = if self.planes { k % (height * width) * channels + k / (height * width) } else { k };
            pixels[place] = if as_is {
                bytes[0]
            } else {
                let value = (element.number(bytes) - self.low) / (self.high - self.low);
                (value * 255.0).round() as u8
            };
        }
        scratch.give(raw);
        if channels == 4 {
            // Multiplied by their alpha, as everywhere.
            for pixel in pixels.chunks_exact_mut(4) {
                let alpha = u32::from(pixel[3]);
                pixel[..3]
                    .iter_mut()
                    .for_each(|value| *value = ((u32::from(*value) * alpha + 127) / 255) as u8);
            }
        }
        result.map(|()| self.labels.get(index).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// A .npy of version 1.
    fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), elements].concat()
    }

    fn npz(files: &[(&str, Vec<u8>)], deflated: bool) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let method = if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        for (name, bytes) in files {
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn write(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("array");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn first(set: &ArraySet, index: usize) -> (u32, Vec<u8>) {
        let images = &set.stored.images;
        let mut pixels = vec![0; images.shape().len()];
        let label = images.read(index, &mut pixels, &mut Scratch::default()).unwrap();
        (label, pixels)
    }

    fn opened(bytes: &[u8]) -> Result<ArraySet> {
        let (_folder, path) = write(bytes);
        open_npy(&path)
    }

    #[test]
    fn arrays_of_bytes_and_floats_become_images() {
        let set = opened(&npy("|u1", "(2, 1, 2, 3)", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])).unwrap();
        assert_eq!(first(&set, 1), (0, vec![7, 8, 9, 10, 11, 12]));
        assert!(set.notes.is_empty() && set.stored.images.classes().is_none());
        // Channels first.
        let set = opened(&npy("|u1", "(1, 3, 1, 2)", &[1, 2, 3, 4, 5, 6])).unwrap();
        assert_eq!(first(&set, 0).1, [1, 3, 5, 2, 4, 6]);
        let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        for (values, pixels) in [
            ([0.0, 0.5, 1.0, 0.25], [0, 128, 255, 64]),
            ([-1.0, 0.0, 1.0, 0.5], [0, 128, 255, 191]),
            ([0.0, 128.0, 255.0, 3.0], [0, 128, 255, 3]),
            ([-1000.0, 0.0, 1000.0, 500.0], [0, 128, 255, 191]),
        ] {
            let set = opened(&npy("<f4", "(1, 2, 2)", &floats(&values))).unwrap();
            assert_eq!(first(&set, 0).1, pixels, "{values:?}");
            assert!(set.notes[0].contains("becomes black"), "{:?}", set.notes);
        }
        // Twelve bits of sixteen, the other way round.
        let words: Vec<u8> = [0u16, 4095, 2048, 0].iter().flat_map(|v| v.to_be_bytes()).collect();
        assert_eq!(first(&opened(&npy(">u2", "(1, 2, 2)", &words)).unwrap(), 0).1, [0, 255, 128, 0]);
        // Colours are multiplied by alpha.
        let set = opened(&npy("|u1", "(1, 1, 1, 4)", &[200, 100, 0, 128])).unwrap();
        assert_eq!(first(&set, 0).1, [100, 50, 0, 128]);
    }

    #[test]
    fn labels_lie_beside_the_images() {
        let images = npy("|u1", "(3, 1, 1)", &[10, 20, 30]);
        let labels =
            npy("<i8", "(3,)", &[7i64, 2, 7].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        for deflated in [false, true] {
            let files = [("images.npy", images.clone()), ("labels.npy", labels.clone())];
            let (_folder, path) = write(&npz(&files, deflated));
            let set = open_npz(&path, Split::Train).unwrap().unwrap();
            assert_eq!(set.classes, ["2", "7"]);
            assert_eq!([first(&set, 0), first(&set, 1)], [(1, vec![10]), (0, vec![20])]);
            assert!(open_npz(&path, Split::Test).unwrap().is_none());
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("images.npy"), &images).unwrap();
        std::fs::write(folder.path().join("labels.npy"), &labels).unwrap();
        assert_eq!(open_npy(&folder.path().join("images.npy")).unwrap().classes, ["2", "7"]);
        let files = [("x_train.npy", images.clone()), ("x_test.npy", npy("|u1", "(1, 1, 1)", &[9]))];
        let (_folder, path) = write(&npz(&files, false));
        let test = open_npz(&path, Split::Test).unwrap().unwrap();
        assert_eq!((test.stored.images.len(), first(&test, 0).1), (1, vec![9]));
        let (_folder, path) = write(&npz(&[("a.npy", images.clone()), ("b.npy", labels)], false));
        let message = open_npz(&path, Split::Train).unwrap_err().to_string();
        assert!(message.contains("the arrays a, b; expected one called images"), "{message}");
    }

    #[test]
    fn what_cannot_be_images_says_so() {
        let fortran = String::from_utf8_lossy(&npy("|u1", "(1, 1, 1)", &[])[10..]).replace("False", "True ");
        let fortran = [&npy("|u1", "(1, 1, 1)", &[])[..10], fortran.as_bytes(), &[1]].concat();
        for (bytes, words) in [
            (npy("|u1", "(7,)", &[0; 7]), "has the shape [7]; expected [N, height, width]"),
            (npy("|u1", "(1, 2, 2, 2)", &[0; 8]), "expected [N, height, width]"),
            (npy("|u1", "(2, 2, 2)", &[0; 7]), "is cut off: an array of shape [2, 2, 2]"),
            (npy("|u1", "(0, 2, 2)", &[]), "holds no images"),
            (npy("<U5", "(2,)", &[0; 40]), "elements of type <U5"),
            (npy("<f4", "(1, 1, 1)", &f32::NAN.to_le_bytes()), "not finite"),
            (npy("|u1", "(99999999999, 99999999999, 99999999999)", &[0; 7]), "is cut off"),
            (fortran, "Fortran"),
            (b"\x93NUMPY\x09\0".to_vec(), "version 9"),
        ] {
            let message = opened(&bytes).unwrap_err().to_string();
            assert!(message.contains("array: ") && message.contains(words), "{message}");
        }
        let whole = npy("<f8", "(2, 2, 2)", &[0; 64]);
        for end in 0..whole.len() {
            assert!(opened(&whole[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn mutated_arrays_never_panic(at in 0usize..80, value: u8, second in 0usize..80, other: u8) {
            let mut bytes = npy("<u2", "(2, 2, 2)", &[3; 16]);
            bytes[at] = value;
            bytes[second] = other;
            if let Ok(set) = opened(&bytes) {
                let images = &set.stored.images;
                let mut pixels = vec![0; images.shape().len()];
                prop_assert!(images.read(images.len() - 1, &mut pixels, &mut Scratch::default()).is_ok());
            }
        }

        #[test]
        fn mutated_npz_never_panic(at: prop::sample::Index, value: u8, deflated: bool) {
            let files = [("images.npy", npy("|u1", "(3, 1, 1)", &[10, 20, 30])), ("labels.npy", npy("|u1", "(3,)", &[1, 0, 1]))];
            let mut bytes = npz(&files, deflated);
            let at = at.index(bytes.len());
            bytes[at] = value;
            let (_folder, path) = write(&bytes);
            if let Ok(Some(set)) = open_npz(&path, Split::Train) {
                let images = &set.stored.images;
                let mut pixels = vec![0; images.shape().len()];
                let _ = images.read(0, &mut pixels, &mut Scratch::default());
            }
        }
    }
}
