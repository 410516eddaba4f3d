//! AVX-512F: 32 registers of 16 f32, masked loads and stores.

use super::{Job, Simd};
use std::arch::x86_64::*;

/// Sixteen f32.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

#[inline(always)]
fn lanes_below(n: usize) -> u16 {
    ((1_u32 << n) - 1) as u16
}

/// # Safety
/// The CPU must have AVX-512F, AVX2 and FMA. The job as for [`Job::run`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn run<J: Job>(job: J) -> J::Output {
    // SAFETY: the caller vouches for the job.
    unsafe { job.run::<Avx512>() }
}

/// The lower eight lanes plus the upper eight.
///
/// # Safety
/// The CPU must have AVX-512F and AVX2.
#[inline(always)]
unsafe fn half_sum(x: __m512) -> __m256 {
    // SAFETY: the caller vouches for the features.
    unsafe {
        let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x)));
        _mm256_add_ps(_mm512_castps512_ps256(x), upper)
    }
}

impl Simd for Avx512 {
    const LANES: usize = 16;
    const MR: usize = 14;
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
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: Isa::run checked for AVX-512F; the caller vouches for 16 elements.
        Avx512(unsafe { _mm512_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn load_lanes(p: *const f32, lo: usize, hi: usize) -> Self {
        let mask = lanes_below(hi) & !lanes_below(lo);
        // SAFETY: Isa::run checked for AVX-512F; masked lanes are not touched.
        Avx512(unsafe { _mm512_maskz_loadu_ps(mask, p) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: Isa::run checked for AVX-512F; the caller vouches for 16 elements.
        unsafe { _mm512_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, n: usize) {
        // SAFETY: Isa::run checked for AVX-512F; masked lanes are not touched.
        unsafe { _mm512_mask_storeu_ps(p, lanes_below(n), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_div_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_min_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_sqrt_ps(self.0) })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_abs_ps(self.0) })
    }

    #[inline(always)]
    fn select_gt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe {
            let mask = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0);
            _mm512_mask_blend_ps(mask, no.0, yes.0)
        })
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }

    #[inline(always)]
    fn sums(vectors: [Self; 4]) -> [f32; 4] {
        let [a, b, c, d] = vectors;
        let mut sums = [0.0; 4];
        // SAFETY: Isa::run checked for AVX-512F and AVX2; the array has 4 elements.
        unsafe {
            let [a, b, c, d] = [half_sum(a.0), half_sum(b.0), half_sum(c.0), half_sum(d.0)];
            let pairs = [_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d)];
            // Four lanes of each, twice.
            let halves = _mm256_hadd_ps(pairs[0], pairs[1]);
            let all = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
            _mm_storeu_ps(sums.as_mut_ptr(), all);
        }
        sums
    }

    #[inline(always)]
    fn exp2_integral(self) -> Self {
        // SAFETY: Isa::run checked for AVX-512F.
        Avx512(unsafe {
            let n = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(n))
        })
    }

    #[inline(always)]
    fn mantissa_exponent(self) -> (Self, Self) {
        // SAFETY: Isa::run checked for AVX-512F.
        unsafe {
            let m = _mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(self.0);
            (Avx512(m), Avx512(_mm512_getexp_ps(self.0)))
        }
    }
}
