//! Buffers that start on a cache line, so that no aligned vector straddles two.

use gannet_tensor::{Error, Result};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt::Display;
use std::ops::{Deref, DerefMut};

/// Bytes that every buffer is aligned to: a cache line, and the widest vector.
const ALIGNMENT: usize = 64;

/// Bytes of a huge page. Buffers of several are aligned to them, and Linux is asked for them: a column of a large
/// matrix then does not need a page for each element.
const HUGE_PAGE: usize = 2 << 20;

/// A fixed number of f32, zero at first, aligned to 64 bytes.
pub(crate) struct AlignedBuffer {
    allocation: *mut u8,
    data: *mut f32,
    len: usize,
}

// SAFETY: the buffer owns its memory, like a Box<[f32]>.
unsafe impl Send for AlignedBuffer {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// The start is aligned by hand rather than by the layout: with the default alignment the allocator
    /// takes large zeroed memory from the operating system as it is, and a page is first touched by the
    /// thread that first writes it. The error names `what` there is no memory for, and its size.
    pub(crate) fn zeroed(what: impl Display, len: usize) -> Result<AlignedBuffer> {
        let refused = || {
            let bytes = len as f64 * size_of::<f32>() as f64;
            Error::new(format!("no memory for {what}: {len} elements, {:.1} MB", bytes / 1e6))
        };
        let layout = Self::layout(len).ok_or_else(refused)?;
        // SAFETY: the layout is not empty, it has an alignment to spare.
        let allocation = unsafe { alloc_zeroed(layout) };
        if allocation.is_null() {
            return Err(refused());
        }
        // SAFETY: the offset is below the alignment, of which the layout has as many bytes to spare.
        let data = unsafe { allocation.add(allocation.align_offset(alignment(len))) };
        if alignment(len) == HUGE_PAGE {
            ask_for_huge_pages(data, len * size_of::<f32>());
        }
        let data = data.cast::<f32>();
        Ok(AlignedBuffer { allocation, data, len })
    }

    /// None beyond what can be addressed.
    fn layout(len: usize) -> Option<Layout> {
        let bytes = len.checked_mul(size_of::<f32>())?.checked_add(alignment(len))?;
        Layout::from_size_align(bytes, align_of::<f32>()).ok()
    }

    /// The first element, for writing through.
    pub(crate) fn as_ptr(&self) -> *mut f32 {
        self.data
    }
}

/// What a buffer of `len` elements is aligned to.
fn alignment(len: usize) -> usize {
    if len / 4 >= HUGE_PAGE / size_of::<f32>() { HUGE_PAGE } else { ALIGNMENT }
}

/// Advice only: without it everything works, with more misses of the page tables' cache.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(start: *mut u8, bytes: usize) {
    const MADV_HUGEPAGE: i32 = 14;
    // SAFETY: the signature of madvise(2) in every C library of Linux.
    unsafe extern "C" {
        fn madvise(start: *mut std::ffi::c_void, bytes: usize, advice: i32) -> i32;
    }
    // SAFETY: whole pages of this allocation; the advice changes no content.
    unsafe { madvise(start.cast(), bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_start: *mut u8, _bytes: usize) {}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.len) {
            // SAFETY: allocated in `zeroed` with this layout.
            unsafe { dealloc(self.allocation, layout) };
        }
    }
}

impl Deref for AlignedBuffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `data` points to `len` initialised elements that live as long as self.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and self is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error_with_its_name_and_size() {
        // Beyond the address space, and beyond any machine's memory.
        for len in [usize::MAX / 2, isize::MAX as usize / 8] {
            let message = AlignedBuffer::zeroed("the input 'x'", len).err().map(|error| error.to_string());
            let message = message.unwrap_or_default();
            assert!(message.starts_with("no memory for the input 'x': "), "{message}");
            assert!(message.contains(&len.to_string()), "{message}");
        }
    }

    #[test]
    fn a_buffer_is_zero_and_starts_on_a_cache_line() {
        let buffer = AlignedBuffer::zeroed("a buffer", 1000).unwrap();
        assert!(buffer.iter().all(|&x| x == 0.0));
        assert_eq!(buffer.as_ptr() as usize % ALIGNMENT, 0);
    }
}
