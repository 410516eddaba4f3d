//! The end of a weight gradient that was summed in parts.

use std::ops::Range;

use crate::context::{Context, Shared};
use crate::gemm::microkernel::steps;
use crate::kernel::in_chunks;
use crate::simd::{Job, Simd};

/// Elements of a task.
const CHUNK: usize = 8 * 1024;

/// Adds `count` other parts of `len` elements, one after another from `parts` on, to the first part, which lies in
/// `sum`: element by element, in the order of the parts.
///
/// # Safety
/// `sum` has `len` elements, `parts` `count` times as many.
pub(super) unsafe fn add_parts(
    context: &Context<'_>,
    sum: *mut f32,
    parts: *mut f32,
    count: usize,
    len: usize,
) {
    if count == 0 {
        return;
    }
    let (sum, parts) = (Shared(sum), Shared(parts));
    in_chunks(context, len, CHUNK, |range| {
        // SAFETY: the workspace holds these parts; each task has elements of its own.
        unsafe { context.isa.run(AddParts { sum: sum.at(0), parts: parts.at(0), count, len, range }) };
    });
}

struct AddParts {
    sum: *mut f32,
    parts: *const f32,
    count: usize,
    len: usize,
    range: Range<usize>,
}

impl Job for AddParts {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        for i in steps(self.range.len(), V::LANES) {
            let (i, lanes) = (self.range.start + i.start, i.len());
            let p = self.sum.wrapping_add(i);
            // SAFETY: add_parts' contract, the range lies in `len`.
            unsafe {
                let mut sum = V::load_first(p, lanes);
                for part in 0..self.count {
                    sum = sum.add(V::load_first(self.parts.wrapping_add(part * self.len + i), lanes));
                }
                sum.store_first(p, lanes);
            }
        }
    }
}
