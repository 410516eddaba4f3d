//! AVX2 with FMA: 16 registers of 8 f32.

use super::{Job, Simd};
use std::arch::x86_64::*;

/// Eight f32.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

/// A window of this table, shifted by n, is the mask of the first n lanes.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

#[inline(always)]
fn lanes_below(n: usize) -> __m256i {
    debug_assert!(n <= 8);
    // SAFETY: Isa::run checked for AVX2; the window starts at 8 - n <= 8 of 16 elements.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - n).cast()) }
}

/// # Safety
/// The CPU must have AVX2 and FMA. The job as for [`Job::run`].
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn run<J: Job>(job: J) -> J::Output {
    // SAFETY: the caller vouches for the job.
    unsafe { job.run::<Avx2>() }
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const MR: usize = 6;
    const NV: usize = 2;

    #[inline(always)]
    unsafe fn apart<J: Job>(job: J) -> J::Output {
        // SAFETY: `Isa::available` checked the features; the caller vouches for the job.
        unsafe { run(job) }
    }

    #[inline(always)]
    fn prefetch(p: *const f32) {
        // SAFETY: a prefetch reads nothing and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: Isa::run checked for AVX2; the caller vouches for 8 elements.
        Avx2(unsafe { _mm256_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn load_lanes(p: *const f32, lo: usize, hi: usize) -> Self {
        // SAFETY: Isa::run checked for AVX2; masked lanes are not touched.
        Avx2(unsafe {
            let mask = _mm256_andnot_si256(lanes_below(lo), lanes_below(hi));
            _mm256_maskload_ps(p, mask)
        })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: Isa::run checked for AVX2; the caller vouches for 8 elements.
        unsafe { _mm256_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, n: usize) {
        // SAFETY: Isa::run checked for AVX2; masked lanes are not touched.
        unsafe { _mm256_maskstore_ps(p, lanes_below(n), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_div_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: Isa::run checked for FMA.
        Avx2(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_min_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_sqrt_ps(self.0) })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0) })
    }

    #[inline(always)]
    fn select_gt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0)) })
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }

    #[inline(always)]
    fn sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        // SAFETY: Isa::run checked for AVX2; the array has 4 elements.
        unsafe {
            let pairs = [_mm256_hadd_ps(a.0, b.0), _mm256_hadd_ps(c.0, d.0)];
            // Four lanes of each, twice.
            let halves = _mm256_hadd_ps(pairs[0], pairs[1]);
            let all = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
            _mm_storeu_ps(sums.as_mut_ptr(), all);
        }
        sums
    }

    #[inline(always)]
    fn exp2_integral(self) -> Self {
        // SAFETY: Isa::run checked for AVX2.
        Avx2(unsafe {
            let n = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(n))
        })
    }

    #[inline(always)]
    fn mantissa_exponent(self) -> (Self, Self) {
        // SAFETY: Isa::run checked for AVX2.
        unsafe {
            let bits = _mm256_castps_si256(self.0);
            let fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
            let mantissa = _mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(0x3f80_0000)));
            let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(127));
            (Avx2(mantissa), Avx2(_mm256_cvtepi32_ps(exponent)))
        }
    }
}
