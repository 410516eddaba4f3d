//! A thin vector type per instruction set. Kernels are written once, generic over [`Simd`], as a [`Job`];
//! [`Isa::run`](crate::isa::Isa::run) instantiates the job for the instruction set in use.
//!
//! Everything here is `#[inline(always)]`: the intrinsics must end up inside a function that enables their
//! target features, [`Simd::apart`], or each would be a call. That includes closures that compute: they are
//! marked where they are passed, or are functions instead. What several places of a job do, and what has many
//! forms, is a job of its own that they call through `apart`: inlined everywhere, it would be most of the time
//! that this crate takes to compile.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod portable;

/// Work that `Isa::run` instantiates for one instruction set.
pub(crate) trait Job {
    /// What the work returns.
    type Output;

    /// Does the work. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The pointers of the job must be valid for what its fields say lies there: whoever makes a job vouches for it
    /// where it is run. What it writes, no other thread reads or writes meanwhile.
    unsafe fn run<V: Simd>(self) -> Self::Output;
}

/// A vector of `LANES` f32.
///
/// The methods that compute are safe to call although they need CPU features, because the type is only
/// ever named through `Isa::run`, which checks them: that is the SAFETY argument of every implementation.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// Elements of a vector.
    const LANES: usize;
    /// Rows of the GEMM microkernel, an even number: with `NV` vectors per row, as many accumulators as the register
    /// file holds beside one row of B and a broadcast element of A.
    const MR: usize;
    /// Vectors in a row of the GEMM microkernel (at most 3).
    const NV: usize;
    /// Columns of the GEMM microkernel.
    const NR: usize = Self::NV * Self::LANES;

    /// Runs a job as a function of its own, compiled with the features of this instruction set.
    ///
    /// # Safety
    /// As for [`Job::run`].
    unsafe fn apart<J: Job>(job: J) -> J::Output;

    fn splat(x: f32) -> Self;

    /// Asks for the cache line at p, for the second-level cache. Any address is allowed.
    #[inline(always)]
    fn prefetch(_p: *const f32) {}

    /// Reads `LANES` elements.
    ///
    /// # Safety
    /// `p` must be valid for reading `LANES` elements; no alignment is asked for.
    unsafe fn load(p: *const f32) -> Self;

    /// Reads lanes `lo..hi` from `p + lane` and sets the others to zero. Elements outside are not touched.
    ///
    /// # Safety
    /// `p + lo .. p + hi` must be valid for reading, and `hi <= LANES`.
    unsafe fn load_lanes(p: *const f32, lo: usize, hi: usize) -> Self;

    /// Writes `LANES` elements.
    ///
    /// # Safety
    /// `p` must be valid for writing `LANES` elements; no alignment is asked for.
    unsafe fn store(self, p: *mut f32);

    /// Writes the first `n` lanes, by a mask.
    ///
    /// # Safety
    /// `p` must be valid for writing `n <= LANES` elements.
    unsafe fn store_masked(self, p: *mut f32, n: usize);

    /// Reads the first `lanes` elements; the others are zero.
    ///
    /// # Safety
    /// `p` must be valid for reading `lanes <= LANES` elements.
    #[inline(always)]
    unsafe fn load_first(p: *const f32, lanes: usize) -> Self {
        // Masked accesses are slow on some CPUs: not where every lane is wanted.
        // SAFETY: the caller vouches for these lanes.
        unsafe { if lanes == Self::LANES { Self::load(p) } else { Self::load_lanes(p, 0, lanes) } }
    }

    /// Writes the first `lanes` elements.
    ///
    /// # Safety
    /// `p` must be valid for writing `lanes <= LANES` elements.
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, lanes: usize) {
        // SAFETY: the caller vouches for these lanes.
        unsafe { if lanes == Self::LANES { self.store(p) } else { self.store_masked(p, lanes) } }
    }

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// `self * b + c`, fused where the instruction set has it.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// The greater; `other` where either is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller; `other` where either is NaN.
    fn min(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    /// `self > other ? yes : no`, per lane (`no` where either is NaN).
    fn select_gt(self, other: Self, yes: Self, no: Self) -> Self;
    /// The nearest integer, ties to even; |self| < 2^22.
    fn round(self) -> Self;
    /// 2^self for integral lanes in -126..=127.
    fn exp2_integral(self) -> Self;
    /// (m, e) with self = m * 2^e and m in [1, 2), for normal positive lanes.
    fn mantissa_exponent(self) -> (Self, Self);

    /// The sum of all lanes of each, in a fixed order.
    #[inline(always)]
    fn sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        [a.sum(), b.sum(), c.sum(), d.sum()]
    }

    /// The sum of all lanes, in a fixed order.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = [0.0_f32; 16];
        // SAFETY: no instruction set has more than 16 lanes.
        unsafe { self.store(lanes.as_mut_ptr()) };
        let mut width = Self::LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        lanes[0]
    }
}
