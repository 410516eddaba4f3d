//! Buffers that start on a cache line, so that no aligned vector straddles two.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};

/// Bytes that every buffer is aligned to: a cache line, and the widest vector.
const ALIGNMENT: usize = 64;

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
    /// thread that first writes it.
    pub(crate) fn zeroed(len: usize) -> AlignedBuffer {
        let layout = Self::layout(len);
        // SAFETY: the layout is not empty, it has ALIGNMENT bytes to spare.
        let allocation = unsafe { alloc_zeroed(layout) };
        if allocation.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: the offset is below ALIGNMENT.
        let data = unsafe { allocation.add(allocation.align_offset(ALIGNMENT)) }.cast::<f32>();
        AlignedBuffer { allocation, data, len }
    }

    fn layout(len: usize) -> Layout {
        // A buffer beyond isize::MAX bytes could not be allocated either.
        let bytes = len.checked_mul(size_of::<f32>()).and_then(|bytes| bytes.checked_add(ALIGNMENT));
        Layout::from_size_align(bytes.unwrap_or(usize::MAX), align_of::<f32>())
            .expect("a buffer smaller than isize::MAX bytes")
    }

    /// The first element, for writing through.
    pub(crate) fn as_ptr(&self) -> *mut f32 {
        self.data
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout.
        unsafe { dealloc(self.allocation, Self::layout(self.len)) };
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
