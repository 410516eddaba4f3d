//! The order in which images are seen.

use gannet_random::Stream;

/// An endless sequence of indices: each epoch is a permutation of its own, drawn from the seed and the
/// epoch's number alone, so that any position can be returned to. A batch may span two epochs; no image
/// is left out.
#[derive(Debug, Clone)]
pub struct Shuffle {
    seed: u64,
    /// The current epoch's permutation.
    order: Vec<usize>,
    epoch: u64,
    /// The position in `order`.
    next: usize,
}

impl Shuffle {
    /// All indices below `len`, over and over.
    ///
    /// # Panics
    /// If `len` is 0.
    pub fn new(len: usize, seed: u64) -> Self {
        assert!(len > 0);
        Shuffle { seed, order: permutation(len, seed, 0), epoch: 0, next: 0 }
    }

    /// Goes to where `position` indices have been given.
    pub fn seek(&mut self, position: u64) {
        let len = self.order.len() as u64;
        let epoch = position / len;
        if epoch != self.epoch {
            self.epoch = epoch;
            self.order = permutation(self.order.len(), self.seed, epoch);
        }
        // Less than the length of a vector.
        self.next = (position % len) as usize;
    }

    /// Fills `batch` with the next indices.
    pub fn fill(&mut self, batch: &mut [usize]) {
        for index in batch {
            if self.next == self.order.len() {
                self.epoch += 1;
                self.order = permutation(self.order.len(), self.seed, self.epoch);
                self.next = 0;
            }
            *index = self.order[self.next];
            self.next += 1;
        }
    }
}

/// The permutation of one epoch.
fn permutation(len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    Stream::new(seed, "shuffle", epoch).permutation(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_is_another_permutation() {
        let mut shuffle = Shuffle::new(100, 7);
        let (mut first, mut second) = (vec![0; 100], vec![0; 100]);
        shuffle.fill(&mut first);
        shuffle.fill(&mut second);
        assert_ne!(first, second);
        for mut epoch in [first, second] {
            assert!(!epoch.is_sorted());
            epoch.sort_unstable();
            assert_eq!(epoch, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn batches_span_epochs_without_loss() {
        let mut whole = vec![0; 30];
        Shuffle::new(10, 1).fill(&mut whole);
        let mut shuffle = Shuffle::new(10, 1);
        let mut joined = Vec::new();
        for size in [7, 7, 7, 7, 2] {
            let mut batch = vec![0; size];
            shuffle.fill(&mut batch);
            joined.extend(batch);
        }
        assert_eq!(joined, whole);
    }

    #[test]
    fn any_position_can_be_returned_to() {
        let mut whole = vec![0; 40];
        Shuffle::new(10, 1).fill(&mut whole);
        let mut shuffle = Shuffle::new(10, 1);
        for position in [25, 3, 10, 0, 30, 19] {
            shuffle.seek(position);
            let mut next = [0; 4];
            shuffle.fill(&mut next);
            assert_eq!(next, whole[position as usize..][..4], "{position}");
        }
    }

    #[test]
    fn the_order_depends_on_the_seed_and_is_fixed() {
        // A literal, so that no update of a dependency changes what a seed means.
        assert_eq!(permutation(10, 42, 0), [8, 0, 6, 3, 1, 5, 9, 7, 2, 4]);
        assert_ne!(permutation(10, 42, 0), permutation(10, 43, 0));
        assert_ne!(permutation(10, 42, 0), permutation(10, 42, 1));
    }
}
