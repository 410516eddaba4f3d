//! Training batches, prepared ahead.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use gannet_random::Stream;
use rayon::prelude::*;

use crate::data_set::DataSet;
use crate::error::{Error, Result};
use crate::images::{Images, Scratch};
use crate::shuffle::Shuffle;

/// Batches that are ready or in the making while one is in use.
const AHEAD: usize = 3;

/// The most threads that share the reading of slow images.
const READERS: usize = 8;

/// Training batches in the order that a seed gives, prepared by a thread of their own while the step before is computed.
///
/// The images follow one another in a [`Shuffle`]; a batch may span two epochs. What a batch holds follows from the
/// set, the seed and the position alone, so that [`seek`](Batches::seek) goes to any place at once. Buffers are used
/// again: a step allocates nothing.
#[derive(Debug)]
pub struct Batches {
    recipe: Recipe,
    /// Images given out.
    position: u64,
    /// What was given out last.
    current: Batch,
    /// Started by the first batch that is asked for.
    worker: Option<Worker>,
}

/// What the batches follow from.
#[derive(Debug, Clone)]
struct Recipe {
    images: Arc<dyn Images>,
    batch_size: usize,
    /// Who is asked for every so-manieth batch only prepares those.
    every: u64,
    seed: u64,
    flip: bool,
    /// What stands in the place of the classes of the images `[N]`, if anything does.
    labels: Option<Arc<[u32]>>,
}

#[derive(Debug, Default)]
struct Batch {
    /// [B, height, width, channels] in [-1, 1].
    images: Vec<f32>,
    /// `[B]`.
    labels: Vec<u32>,
}

impl Batches {
    /// Batches of `batch_size` images, the first of which comes after `position` others.
    ///
    /// # Panics
    /// If `batch_size` is 0.
    pub fn new(data: &DataSet, batch_size: usize, seed: u64, position: u64) -> Self {
        assert!(batch_size > 0);
        let (images, flip) = (data.images().clone(), data.flip());
        let recipe = Recipe { images, batch_size, every: 1, seed, flip, labels: None };
        let current = recipe.buffer();
        Batches { recipe, position, current, worker: None }
    }

    /// The same with these labels `[N]` in the place of the classes of the images.
    ///
    /// # Panics
    /// If there are not as many labels as images.
    pub fn with_labels(mut self, labels: impl Into<Arc<[u32]>>) -> Self {
        let labels = labels.into();
        assert_eq!(labels.len(), self.recipe.images.len());
        self.recipe.labels = Some(labels);
        self
    }

    /// The same where others take turns with this: after a batch, the next that is asked for comes `every` batches later, and
    /// that is what is prepared ahead. Which batch is given out next stays a matter of [`seek`](Batches::seek).
    ///
    /// # Panics
    /// If `every` is 0.
    #[must_use]
    pub fn in_turn(mut self, every: u64) -> Self {
        assert!(every > 0);
        self.recipe.every = every;
        self.worker = None;
        self
    }

    /// The images given out so far: where the next batch begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Lines for people about images that went bad, each once ([`Images::take_notes`]).
    pub fn take_notes(&self) -> Vec<String> {
        self.recipe.images.take_notes()
    }

    /// Goes to where `position` images have been given out.
    pub fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// The next images [B, height, width, channels] in [-1, 1] and their classes `[B]`, which are all 0 where the set
    /// has no classes. Errors when an image cannot be read, and then again each time.
    pub fn next_batch(&mut self) -> Result<(&[f32], &[u32])> {
        let worker = match &mut self.worker {
            Some(worker) if worker.position == self.position => worker,
            other => {
                // The old one ends first.
                *other = None;
                other.insert(Worker::start(self.recipe.clone(), self.position)?)
            }
        };
        let batch = worker.next()?;
        worker.give_back(std::mem::replace(&mut self.current, batch));
        worker.position += self.recipe.stride();
        self.position += self.recipe.batch_size as u64;
        Ok((&self.current.images, &self.current.labels))
    }
}

impl Recipe {
    /// Images from the beginning of a batch to that of the next that is asked for.
    fn stride(&self) -> u64 {
        self.every * self.batch_size as u64
    }

    fn buffer(&self) -> Batch {
        Batch {
            images: vec![0.0; self.batch_size * self.images.shape().len()],
            labels: vec![0; self.batch_size],
        }
    }

    /// Reads the image `index`, which is number `position` of the run.
    fn read(
        &self,
        index: usize,
        position: u64,
        values: &mut [f32],
        label: &mut u32,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let shape = self.images.shape();
        let mut pixels = scratch.take(shape.len());
        let class = self.images.read(index, &mut pixels, scratch);
        let flipped = self.flip && Stream::new(self.seed, "flip", position).below(2) == 1;
        let value = |pixel: u8| f32::from(pixel) / 127.5 - 1.0;
        if flipped {
            let line = shape.width * shape.channels;
            for (values, pixels) in values.chunks_exact_mut(line).zip(pixels.chunks_exact(line)) {
                let mirrored = pixels.chunks_exact(shape.channels).rev().flatten();
                values.iter_mut().zip(mirrored).for_each(|(v, &pixel)| *v = value(pixel));
            }
        } else {
            values.iter_mut().zip(&pixels).for_each(|(v, &pixel)| *v = value(pixel));
        }
        scratch.give(pixels);
        let class = class?;
        *label = self.labels.as_ref().map_or(class, |labels| labels[index]);
        Ok(())
    }
}

/// The thread that prepares batches.
#[derive(Debug)]
struct Worker {
    /// Where the batch begins that it gives next.
    position: u64,
    /// `None` only while it is dropped.
    filled: Option<Receiver<Result<Batch>>>,
    empty: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
    /// Why there are no more batches.
    failure: Option<Error>,
}

impl Worker {
    fn start(recipe: Recipe, position: u64) -> Result<Self> {
        // Neither channel ever holds more than all buffers there are, so nobody waits to send.
        let (filled_out, filled) = sync_channel(AHEAD + 1);
        let (empty, empty_in) = sync_channel(AHEAD + 1);
        for _ in 0..AHEAD {
            empty.send(recipe.buffer()).expect("the receiver is here");
        }
        let thread = thread::Builder::new()
            .name("batches".into())
            .spawn(move || prepare(&recipe, position, &empty_in, &filled_out))
            .map_err(|e| Error::failure(format!("cannot start a thread for the training images: {e}")))?;
        Ok(Worker { position, filled: Some(filled), empty: Some(empty), thread: Some(thread), failure: None })
    }

    fn next(&mut self) -> Result<Batch> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let result = self.filled.as_ref().expect("not dropped").recv();
        let result = result.unwrap_or_else(|_| {
            if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
                std::panic::resume_unwind(panic);
            }
            Err(Error::failure("the thread for the training images has ended"))
        });
        result.inspect_err(|error| self.failure = Some(error.clone()))
    }

    fn give_back(&self, batch: Batch) {
        // A thread that has ended needs no buffers.
        let _ = self.empty.as_ref().expect("not dropped").send(batch);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Closed channels end the thread.
        (self.filled, self.empty) = (None, None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Fills what comes from `empty` and sends it to `filled` until an image cannot be read or nobody listens.
fn prepare(recipe: &Recipe, mut position: u64, empty: &Receiver<Batch>, filled: &SyncSender<Result<Batch>>) {
    let size = recipe.images.shape().len();
    let mut shuffle = Shuffle::new(recipe.images.len(), recipe.seed);
    shuffle.seek(position);
    let mut indices = vec![0; recipe.batch_size];
    let readers = thread::available_parallelism().map_or(1, usize::from).min(READERS);
    let pool = (recipe.images.is_slow() && readers > 1)
        .then(|| rayon::ThreadPoolBuilder::new().num_threads(readers).build().ok())
        .flatten();
    let mut scratches: Vec<Scratch> =
        (0..if pool.is_some() { recipe.batch_size } else { 1 }).map(|_| Scratch::default()).collect();
    for mut batch in empty {
        shuffle.fill(&mut indices);
        let Batch { images, labels } = &mut batch;
        let read = |at: usize, values: &mut [f32], label: &mut u32, scratch: &mut Scratch| {
            recipe.read(indices[at], position + at as u64, values, label, scratch)
        };
        let result = match &pool {
            Some(pool) => {
                // Where several images fail, the first in order is reported, as without threads.
                let failure: Mutex<Option<(usize, Error)>> = Mutex::new(None);
                let places = images.par_chunks_exact_mut(size).zip(labels).zip(&mut scratches).enumerate();
                pool.install(|| {
                    places.for_each(|(at, ((values, label), scratch))| {
                        if let Err(error) = read(at, values, label, scratch) {
                            let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                            if failure.as_ref().is_none_or(|(first, _)| at < *first) {
                                *failure = Some((at, error));
                            }
                        }
                    });
                });
                failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |(_, e)| Err(e))
            }
            None => images
                .chunks_exact_mut(size)
                .zip(labels)
                .enumerate()
                .try_for_each(|(at, (values, label))| read(at, values, label, &mut scratches[0])),
        };
        position += recipe.stride();
        if recipe.every > 1 {
            shuffle.seek(position);
        }
        let failed = result.is_err();
        if filled.send(result.map(|()| batch)).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_shape::ImageShape;
    use crate::labelled_images::LabelledImages;

    fn quantise(value: f32) -> u8 {
        ((value + 1.0) * 127.5).round() as u8
    }

    /// Ten images of two pixels, which say their number.
    fn numbered() -> LabelledImages {
        let pixels = (0..10).flat_map(|n| [n, 100 + n]).collect();
        LabelledImages::labelled(
            ImageShape { height: 1, width: 2, channels: 1 },
            pixels,
            (0..10).collect(),
            10,
        )
    }

    fn set(images: impl Images + 'static) -> DataSet {
        DataSet::of_images("numbered", Arc::new(images))
    }

    /// The labels of the next batches, after checking that the images are those of the labels.
    fn labels(batches: &mut Batches, count: usize) -> Vec<u32> {
        let mut all = Vec::new();
        for _ in 0..count {
            let (images, labels) = batches.next_batch().unwrap();
            for (image, &label) in images.chunks_exact(2).zip(labels) {
                let pixels: Vec<u32> = image.iter().map(|&v| u32::from(quantise(v))).collect();
                assert_eq!(pixels, [label, 100 + label]);
            }
            all.extend_from_slice(labels);
        }
        all
    }

    #[test]
    fn batches_follow_the_shuffle() {
        let mut whole = vec![0; 40];
        Shuffle::new(10, 3).fill(&mut whole);
        let labels = labels(&mut Batches::new(&set(numbered()), 4, 3, 0), 10);
        assert_eq!(labels.iter().map(|&l| l as usize).collect::<Vec<_>>(), whole);
    }

    #[test]
    fn any_position_can_be_returned_to() {
        let mut batches = Batches::new(&set(numbered()), 4, 3, 0);
        let whole = labels(&mut batches, 12);
        assert_eq!(batches.position(), 48);
        for position in [20, 0, 4, 44, 8] {
            batches.seek(position);
            assert_eq!(labels(&mut batches, 1), whole[position as usize..][..4]);
            assert_eq!(batches.position(), position + 4);
        }
        // Batches of another size begin where the position says, too.
        let mut batches = Batches::new(&set(numbered()), 7, 3, 13);
        assert_eq!(labels(&mut batches, 2), whole[13..27]);
    }

    #[test]
    fn batches_in_turn_are_those_of_their_positions() {
        let whole = labels(&mut Batches::new(&set(numbered()), 4, 3, 0), 24);
        let mut batches = Batches::new(&set(numbered()), 4, 3, 0).in_turn(3);
        for round in 0..8 {
            let position = 4 * (3 * round + 1);
            batches.seek(position);
            assert_eq!(labels(&mut batches, 1), whole[position as usize..][..4]);
            assert_eq!(batches.position(), position + 4);
            // Where the next step begins.
            batches.seek(position + 8);
        }
        // Another one, out of turn.
        batches.seek(4);
        assert_eq!(labels(&mut batches, 1), whole[4..8]);
        // What was prepared meanwhile was every third: it comes from the thread that made the one before.
        let threads: Vec<_> = (0..4)
            .map(|round| {
                batches.seek(4 * (3 * round + 4));
                batches.next_batch().unwrap();
                batches.worker.as_ref().unwrap().thread.as_ref().unwrap().thread().id()
            })
            .collect();
        assert!(threads.windows(2).all(|pair| pair[0] == pair[1]), "{threads:?}");
    }

    #[test]
    fn flipped_images_are_mirrored_half_of_the_time_and_the_same_each_time() {
        let draw = |seek: u64| {
            let mut batches = Batches::new(&set(numbered()).with_flip(true), 10, 3, 0);
            batches.seek(seek);
            let mut flipped = Vec::new();
            for _ in 0..20 {
                let (images, labels) = batches.next_batch().unwrap();
                for (image, &label) in images.chunks_exact(2).zip(labels) {
                    let pixels: Vec<u32> = image.iter().map(|&v| u32::from(quantise(v))).collect();
                    assert!(pixels == [label, 100 + label] || pixels == [100 + label, label]);
                    flipped.push(pixels[0] >= 100);
                }
            }
            flipped
        };
        let all = draw(0);
        assert!((70..130).contains(&all.iter().filter(|&&f| f).count()));
        assert_eq!(draw(50)[..150], all[50..]);
    }

    /// Slow images; the one with this number cannot be read.
    #[derive(Debug)]
    struct Broken(LabelledImages, usize);

    impl Images for Broken {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn shape(&self) -> ImageShape {
            self.0.shape()
        }
        fn classes(&self) -> Option<usize> {
            self.0.classes()
        }
        fn read(&self, index: usize, pixels: &mut [u8], scratch: &mut Scratch) -> Result<u32> {
            if index == self.1 {
                return Err(Error::failure(format!("image {index} is broken")));
            }
            self.0.read(index, pixels, scratch)
        }
        fn is_slow(&self) -> bool {
            true
        }
    }

    #[test]
    fn slow_images_come_in_the_same_order_and_a_broken_one_is_reported_at_its_step() {
        let plain = labels(&mut Batches::new(&set(numbered()), 4, 3, 0), 5);
        let mut slow = Batches::new(&set(Broken(numbered(), 99)), 4, 3, 0);
        assert_eq!(labels(&mut slow, 5), plain);
        let broken = plain[9];
        let mut batches = Batches::new(&set(Broken(numbered(), broken as usize)), 4, 3, 0);
        assert_eq!(labels(&mut batches, 2), plain[..8]);
        for _ in 0..2 {
            assert_eq!(batches.next_batch().unwrap_err().to_string(), format!("image {broken} is broken"));
        }
        assert_eq!(batches.position(), 8);
    }

    #[test]
    fn buffers_are_used_again() {
        let mut batches = Batches::new(&set(numbered()), 4, 3, 0);
        let mut places: Vec<_> = (0..40).map(|_| batches.next_batch().unwrap().0.as_ptr() as usize).collect();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() <= AHEAD + 1, "{places:?}");
    }
}
