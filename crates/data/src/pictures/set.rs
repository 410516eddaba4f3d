//! Pictures in a folder or an archive, as training reads them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::decode::{Levels, decode};
use super::fault::Fault;
use super::manifest::{Manifest, Seen};
use super::name::Name;
use super::scan::Scan;
use super::single::fit;
use super::source::{Place, Source};
use crate::error::{Error, Result};
use crate::image_shape::ImageShape;
use crate::images::{Images, Scratch};
use crate::transforms::Resize;

/// The most bytes of scaled pictures that are kept: what does not fit is decoded each time.
const KEPT: usize = 1 << 30;

/// Pictures that are decoded and scaled when they are asked for. What was scaled is kept while there is room, so that a
/// small set is decoded once.
///
/// A picture that cannot be read any more is replaced by the next one of its class that can, which follows from its
/// number alone, so that a run that goes on does the same; it is told once ([`Images::take_notes`]).
#[derive(Debug)]
pub struct Pictures {
    source: Source,
    files: Vec<Picture>,
    /// `None` where nothing is told apart.
    classes: Option<usize>,
    levels: Levels,
    resize: Resize,
    shape: ImageShape,
    kept: Vec<OnceLock<Box<[u8]>>>,
    room: AtomicUsize,
    /// The numbers of the pictures that were found bad, and lines about them that nobody has taken yet.
    notes: Mutex<(Vec<usize>, Vec<String>)>,
    noted: AtomicBool,
}

#[derive(Debug, Clone)]
struct Picture {
    name: Name,
    len: u64,
    place: Place,
    class: u32,
}

impl Pictures {
    /// The pictures of a set that has been looked through.
    pub(crate) fn new(scan: Scan, levels: Levels, resize: Resize, shape: ImageShape) -> (Self, Manifest) {
        let Scan { source, manifest, places, .. } = scan;
        let files = manifest
            .pictures
            .iter()
            .zip(places)
            .map(|(Seen { name, len, class, .. }, place)| Picture {
                name: name.clone(),
                len: *len,
                place,
                class: class.unwrap_or(0),
            })
            .collect::<Vec<_>>();
        let classes = (!manifest.classes.is_empty()).then_some(manifest.classes.len());
        let kept = files.iter().map(|_| OnceLock::new()).collect();
        let pictures = Pictures {
            source,
            files,
            classes,
            levels,
            resize,
            shape,
            kept,
            room: AtomicUsize::new(KEPT),
            notes: Mutex::default(),
            noted: AtomicBool::new(false),
        };
        (pictures, manifest)
    }

    fn decode(
        &self,
        index: usize,
        pixels: &mut [u8],
        scratch: &mut Scratch,
    ) -> std::result::Result<(), Fault> {
        let Picture { name, len, place, .. } = &self.files[index];
        let image = decode(&self.source.read(name, *len, *place)?)?;
        fit(image, self.levels, self.shape, self.resize, pixels, scratch);
        Ok(())
    }

    /// Reads the next picture of the same class that can be read instead of `index`.
    fn replace(&self, index: usize, fault: &Fault, pixels: &mut [u8], scratch: &mut Scratch) -> Result<()> {
        let count = self.files.len();
        let class = self.files[index].class;
        let others = (1..count).map(|more| (index + more) % count);
        let known_bad = |other: &usize| {
            self.notes.lock().unwrap_or_else(PoisonError::into_inner).0.binary_search(other).is_ok()
        };
        let stand_in = others
            .filter(|other| self.files[*other].class == class)
            .filter(|other| !known_bad(other))
            .find(|&other| self.decode(other, pixels, scratch).is_ok());
        let name = self.source.name_of(&self.files[index].name);
        let Some(other) = stand_in else {
            return Err(Error::failure(format!("{name}: {fault}, and no picture of its class is left")));
        };
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(at) = notes.0.binary_search(&index) {
            notes.0.insert(at, index);
            notes.1.push(format!("{name}: {fault}; {} takes its place", self.files[other].name));
            self.noted.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl Images for Pictures {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn shape(&self) -> ImageShape {
        self.shape
    }

    fn classes(&self) -> Option<usize> {
        self.classes
    }

    fn read(&self, index: usize, pixels: &mut [u8], scratch: &mut Scratch) -> Result<u32> {
        let class = self.files[index].class;
        if let Some(kept) = self.kept[index].get() {
            pixels.copy_from_slice(kept);
            return Ok(class);
        }
        if let Err(fault) = self.decode(index, pixels, scratch) {
            self.replace(index, &fault, pixels, scratch)?;
        }
        let fits = |room: usize| room.checked_sub(pixels.len());
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok() {
            // Another thread may have been quicker with the same picture.
            let _ = self.kept[index].set(pixels.into());
        }
        Ok(class)
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn take_notes(&self) -> Vec<String> {
        if !self.noted.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner).1)
    }
}

/// The levels that the 16-bit pictures of a set use together.
pub(crate) fn levels_of(manifest: &Manifest) -> Levels {
    let ranges = manifest.pictures.iter().filter_map(|picture| picture.found.as_ref().ok()?.levels);
    ranges
        .reduce(|(low, high), (other_low, other_high)| (low.min(other_low), high.max(other_high)))
        .map_or(Levels::default(), |(low, high)| Levels::of_set(low, high))
}

/// Brings what a new scan found into the order of an earlier one: the same pictures, wherever they are now. `places`
/// says where each is ([`super::Changes::places`]). What cannot be read any more stays in its place, to be replaced when
/// it is read; what changed otherwise is for the caller to judge.
pub(crate) fn in_order_of(before: &Manifest, now: Scan, places: &[Option<usize>]) -> Scan {
    let bad: HashMap<&Name, &Seen> = now.manifest.left_out.iter().map(|file| (&file.name, file)).collect();
    let mut pictures = Vec::with_capacity(before.pictures.len());
    let mut found = Vec::with_capacity(before.pictures.len());
    for (picture, place) in before.pictures.iter().zip(places) {
        match place {
            Some(at) => {
                pictures.push(Seen { class: picture.class, ..now.manifest.pictures[*at].clone() });
                found.push(now.places[*at]);
            }
            None => {
                let name = bad.get(&picture.name).map_or(&picture.name, |file| &file.name);
                pictures.push(Seen { name: name.clone(), ..picture.clone() });
                // It is looked for again when its turn comes: it may have been mended by then.
                found.push(Place::File);
            }
        }
    }
    let manifest =
        Manifest { pictures, left_out: now.manifest.left_out.clone(), classes: before.classes.clone() };
    Scan { manifest, places: found, ..now }
}
