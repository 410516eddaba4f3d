//! What an instruction of a plan becomes: a kernel with everything prepared that shapes decide.

use crate::context::{Context, Workspace};

/// The tensors of a run.
#[derive(Clone, Copy)]
pub(crate) struct Tensors<'a> {
    pub(crate) inputs: &'a [*const f32],
    pub(crate) output: *mut f32,
    /// The batch statistics of the output, for a kernel that was asked for them.
    pub(crate) stats: *mut f32,
}

// SAFETY: the pointers are shared between the tasks of a kernel, which write disjoint parts of the output.
unsafe impl Sync for Tensors<'_> {}

impl Tensors<'_> {
    /// Input i. (A method, so that closures capture the tensors as a whole, which threads may share.)
    pub(crate) fn input(&self, i: usize) -> *const f32 {
        self.inputs[i]
    }
}

/// A prepared instruction. Runs allocate nothing.
pub(crate) trait Kernel: Send + Sync {
    /// The scratch memory that a run needs.
    fn workspace(&self) -> Workspace {
        Workspace::default()
    }

    /// Whether the operation runs by its reference loops, on one thread.
    fn is_reference(&self) -> bool {
        false
    }

    /// Computes the output from the inputs.
    ///
    /// # Safety
    /// The tensors must be valid and have the shapes that the kernel was prepared for. The output overlaps
    /// no input, or is exactly one that the operation may overwrite.
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>);
}

/// Cuts `len` elements into tasks of `size`, and calls `task(range)` for each on some thread.
pub(crate) fn in_chunks(
    context: &Context<'_>,
    len: usize,
    size: usize,
    task: impl Fn(std::ops::Range<usize>) + Sync,
) {
    context.threads.run(len.div_ceil(size), &|_, i| task(i * size..((i + 1) * size).min(len)));
}

/// Elements of a task of an elementwise kernel: long enough to pay for claiming it, short enough to balance.
pub(crate) const CHUNK: usize = 16 * 1024;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::context::Scratch;
    use crate::gemm::tests::Exact;
    use crate::isa::Isa;
    use crate::threads::Threads;

    /// Runs a kernel; NaN shows what it does not write.
    pub(crate) fn run(
        isa: Isa,
        threads: usize,
        kernel: &dyn Kernel,
        inputs: &[&[f32]],
        len: usize,
    ) -> Vec<f32> {
        run_with_stats(isa, threads, kernel, inputs, len, 0).0
    }

    /// Runs a kernel that writes batch statistics too.
    pub(crate) fn run_with_stats(
        isa: Isa,
        threads: usize,
        kernel: &dyn Kernel,
        inputs: &[&[f32]],
        len: usize,
        stats: usize,
    ) -> (Vec<f32>, Vec<f32>) {
        let threads = Threads::new(threads).unwrap();
        let mut scratch = Scratch::new(kernel.workspace(), threads.count()).unwrap();
        let context = Context::new(isa, &threads, &mut scratch);
        let (mut y, mut stats) = (vec![f32::NAN; len], vec![f32::NAN; stats]);
        let inputs: Vec<*const f32> = inputs.iter().map(|x| x.as_ptr()).collect();
        let tensors = Tensors { inputs: &inputs, output: y.as_mut_ptr(), stats: stats.as_mut_ptr() };
        // SAFETY: the caller made the kernel for vectors of these sizes.
        unsafe { kernel.run(&context, tensors) };
        (y, stats)
    }

    /// The result of a kernel, which is as near to the exact one as sums may be and has the same bits for any number of
    /// threads.
    pub(crate) fn checked(isa: Isa, kernel: &dyn Kernel, inputs: &[&[f32]], exact: &Exact) -> Vec<f32> {
        let len = exact.value.len();
        let one = run(isa, 1, kernel, inputs, len);
        exact.check(&one);
        for threads in [2, 3] {
            assert!(one == run(isa, threads, kernel, inputs, len), "{isa}: {threads} threads");
        }
        one
    }
}
