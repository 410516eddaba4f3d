//! What every kernel runs with: instruction set, threads and scratch memory.

use crate::aligned::AlignedBuffer;
use crate::isa::Isa;
use crate::threads::Threads;
use gannet_tensor::Result;

/// Scratch memory that a kernel needs, in elements. Nothing in it outlives the kernel.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Workspace {
    /// Seen by all threads.
    pub(crate) shared: usize,
    /// For each thread.
    pub(crate) own: usize,
}

impl Workspace {
    /// Enough for either.
    pub(crate) fn max(self, other: Workspace) -> Workspace {
        Workspace { shared: self.shared.max(other.shared), own: self.own.max(other.own) }
    }
}

/// Scratch memory for the largest kernel of a program.
pub(crate) struct Scratch {
    shared: AlignedBuffer,
    own: Vec<AlignedBuffer>,
    size: Workspace,
}

impl Scratch {
    /// Errors when there is no memory for it.
    pub(crate) fn new(size: Workspace, threads: usize) -> Result<Scratch> {
        let own = (0..threads).map(|i| AlignedBuffer::zeroed(format!("the scratch of thread {i}"), size.own));
        let own = own.collect::<Result<_>>()?;
        Ok(Scratch { shared: AlignedBuffer::zeroed("the scratch of all threads", size.shared)?, own, size })
    }

    /// Makes room for a program, if there is not enough. Errors when there is no memory for it.
    pub(crate) fn grow(&mut self, size: Workspace, threads: usize) -> Result<()> {
        let size = self.size.max(size);
        if size != self.size {
            *self = Scratch::new(size, threads)?;
        }
        Ok(())
    }
}

/// What a kernel runs with.
pub(crate) struct Context<'a> {
    pub(crate) isa: Isa,
    pub(crate) threads: &'a Threads,
    scratch: &'a Scratch,
}

impl<'a> Context<'a> {
    pub(crate) fn new(isa: Isa, threads: &'a Threads, scratch: &'a mut Scratch) -> Context<'a> {
        Context { isa, threads, scratch }
    }

    /// The memory that all threads see.
    pub(crate) fn shared(&self) -> Shared<f32> {
        Shared(self.scratch.shared.as_ptr())
    }

    /// The memory of one thread.
    pub(crate) fn own(&self, worker: usize) -> *mut f32 {
        self.scratch.own[worker].as_ptr()
    }
}

/// A pointer that tasks of several threads write through, each to its own part.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub(crate) *mut T);

// SAFETY: sending the pointer is harmless; each use argues for itself that its part is its own.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn at(self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }
}
