//! What tells one set of images from another.

use sha2::{Digest, Sha256};

use crate::files::hexadecimal;

/// Of more bytes than this, only samples are looked at: a set larger than memory is not read twice.
const WHOLE: u64 = 64 << 20;
/// The length of a sample.
const SAMPLE: u64 = 64 << 10;

/// A SHA-256 over what a training run depends on. Of large parts it covers their length and evenly spaced samples, 64
/// MiB together, so that it notices other files, files in another order and files cut off, but not every changed pixel.
#[derive(Debug, Default)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds a short text or number.
    pub(crate) fn text(&mut self, text: impl std::fmt::Display) {
        let text = text.to_string();
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    /// Adds a part of `len` bytes, which `read` copies from any offset.
    pub(crate) fn part<E>(
        &mut self,
        len: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.0.update(len.to_le_bytes());
        let mut buffer = vec![0; SAMPLE as usize];
        let mut sample = |offset: u64, len: u64| {
            let buffer = &mut buffer[..len as usize];
            read(offset, buffer)?;
            self.0.update(buffer);
            Ok(())
        };
        if len <= WHOLE {
            (0..len).step_by(SAMPLE as usize).try_for_each(|at| sample(at, SAMPLE.min(len - at)))
        } else {
            let samples = WHOLE / SAMPLE;
            let place = |n: u64| (u128::from(len - SAMPLE) * u128::from(n) / u128::from(samples - 1)) as u64;
            (0..samples).try_for_each(|n| sample(place(n), SAMPLE))
        }
    }

    /// Adds a part in memory.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let read = |at: u64, buffer: &mut [u8]| {
            buffer.copy_from_slice(&bytes[at as usize..][..buffer.len()]);
            Ok::<(), std::convert::Infallible>(())
        };
        let Ok(()) = self.part(bytes.len() as u64, read);
    }

    /// In hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        hexadecimal(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> String {
        let mut fingerprint = Fingerprint::default();
        fingerprint.bytes(bytes);
        fingerprint.finish()
    }

    #[test]
    fn every_byte_of_a_small_part_counts() {
        let whole = vec![7; 200_000];
        for at in [0, 65_535, 65_536, 199_999] {
            let mut other = whole.clone();
            other[at] = 8;
            assert_ne!(of(&whole), of(&other));
        }
        assert_ne!(of(&whole), of(&whole[1..]));
        // Two texts are not the one that they make together.
        let texts = |texts: &[&str]| {
            let mut fingerprint = Fingerprint::default();
            texts.iter().for_each(|text| fingerprint.text(text));
            fingerprint.finish()
        };
        assert_ne!(texts(&["ab", "c"]), texts(&["a", "bc"]));
    }

    #[test]
    fn of_a_large_part_samples_are_read_from_start_to_end() {
        let (mut offsets, len) = (Vec::new(), 1u64 << 40);
        let mut fingerprint = Fingerprint::default();
        let read = |at: u64, buffer: &mut [u8]| {
            assert!(at + buffer.len() as u64 <= len);
            offsets.push(at);
            Ok::<(), ()>(())
        };
        fingerprint.part(len, read).unwrap();
        assert_eq!((offsets.len(), offsets[0], *offsets.last().unwrap()), (1024, 0, len - SAMPLE));
    }
}
