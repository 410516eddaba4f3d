//! NEON (part of every AArch64 CPU): 32 registers of 4 f32.

use super::{Job, Simd};
use std::arch::aarch64::*;

/// Four f32.
#[derive(Clone, Copy)]
pub(crate) struct Neon(float32x4_t);

/// # Safety
/// As for [`Job::run`].
#[inline(never)]
unsafe fn run<J: Job>(job: J) -> J::Output {
    // SAFETY: the caller vouches for the job.
    unsafe { job.run::<Neon>() }
}

impl Simd for Neon {
    const LANES: usize = 4;
    const MR: usize = 8;
    const NV: usize = 3;

    #[inline(always)]
    unsafe fn apart<J: Job>(job: J) -> J::Output {
        // SAFETY: the caller vouches for the job.
        unsafe { run(job) }
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe { vdupq_n_f32(x) })
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: NEON is part of AArch64; the caller vouches for 4 elements.
        Neon(unsafe { vld1q_f32(p) })
    }

    #[inline(always)]
    unsafe fn load_lanes(p: *const f32, lo: usize, hi: usize) -> Self {
        let mut lanes = [0.0_f32; 4];
        for (lane, x) in lanes.iter_mut().enumerate() {
            if lane >= lo && lane < hi {
                // SAFETY: the caller vouches for lanes lo..hi.
                *x = unsafe { *p.wrapping_add(lane) };
            }
        }
        // SAFETY: NEON is part of AArch64; the array has 4 elements.
        Neon(unsafe { vld1q_f32(lanes.as_ptr()) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: NEON is part of AArch64; the caller vouches for 4 elements.
        unsafe { vst1q_f32(p, self.0) }
    }

    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, n: usize) {
        let mut lanes = [0.0_f32; 4];
        // SAFETY: NEON is part of AArch64; the array has 4 elements.
        unsafe { vst1q_f32(lanes.as_mut_ptr(), self.0) };
        for (lane, x) in lanes.into_iter().enumerate().take(n) {
            // SAFETY: the caller vouches for n elements.
            unsafe { *p.add(lane) = x };
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe { vaddq_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe { vsubq_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe { vmulq_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe { vdivq_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe { vfmaq_f32(c.0, self.0, b.0) })
    }

    // vmaxq and vminq return NaN where either is; the contract is `other`.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.select_gt(other, self, other)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        other.select_gt(self, self, other)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe { vsqrtq_f32(self.0) })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe { vabsq_f32(self.0) })
    }

    #[inline(always)]
    fn select_gt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe { vbslq_f32(vcgtq_f32(self.0, other.0), yes.0, no.0) })
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe { vrndnq_f32(self.0) })
    }

    #[inline(always)]
    fn sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        // SAFETY: NEON is part of AArch64; the array has 4 elements.
        unsafe { vst1q_f32(sums.as_mut_ptr(), vpaddq_f32(vpaddq_f32(a.0, b.0), vpaddq_f32(c.0, d.0))) };
        sums
    }

    #[inline(always)]
    fn exp2_integral(self) -> Self {
        // SAFETY: NEON is part of AArch64.
        Neon(unsafe {
            let n = vaddq_s32(vcvtnq_s32_f32(self.0), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(n))
        })
    }

    #[inline(always)]
    fn mantissa_exponent(self) -> (Self, Self) {
        // SAFETY: NEON is part of AArch64.
        unsafe {
            let bits = vreinterpretq_u32_f32(self.0);
            let fraction = vandq_u32(bits, vdupq_n_u32(0x007f_ffff));
            let mantissa = vreinterpretq_f32_u32(vorrq_u32(fraction, vdupq_n_u32(0x3f80_0000)));
            let exponent = vsubq_s32(vreinterpretq_s32_u32(vshrq_n_u32::<23>(bits)), vdupq_n_s32(127));
            (Neon(mantissa), Neon(vcvtq_f32_s32(exponent)))
        }
    }
}
