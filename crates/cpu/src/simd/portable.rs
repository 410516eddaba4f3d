//! Arrays whose loops the compiler vectorises for whatever the target's baseline is.

use super::{Job, Simd};

const LANES: usize = 4;

/// Four f32: one register of every baseline that has vectors (SSE2, NEON, SIMD128).
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = self.0;
        for (x, y) in out.iter_mut().zip(other.0) {
            *x = f(*x, y);
        }
        Portable(out)
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Portable(self.0.map(f))
    }
}

/// # Safety
/// As for [`Job::run`].
#[inline(never)]
unsafe fn run<J: Job>(job: J) -> J::Output {
    // SAFETY: the caller vouches for the job.
    unsafe { job.run::<Portable>() }
}

impl Simd for Portable {
    const LANES: usize = LANES;
    const MR: usize = 6;
    const NV: usize = 2;

    #[inline(always)]
    unsafe fn apart<J: Job>(job: J) -> J::Output {
        // SAFETY: the caller vouches for the job.
        unsafe { run(job) }
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Portable([x; LANES])
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller vouches for LANES elements.
        Portable(unsafe { p.cast::<[f32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_lanes(p: *const f32, lo: usize, hi: usize) -> Self {
        let mut out = [0.0; LANES];
        for (lane, x) in out.iter_mut().enumerate() {
            if lane >= lo && lane < hi {
                // SAFETY: the caller vouches for lanes lo..hi.
                *x = unsafe { *p.wrapping_add(lane) };
            }
        }
        Portable(out)
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller vouches for LANES elements.
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, n: usize) {
        for (lane, x) in self.0.into_iter().enumerate() {
            if lane < n {
                // SAFETY: the caller vouches for n elements.
                unsafe { *p.add(lane) = x };
            }
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |x, y| x + y)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |x, y| x - y)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |x, y| x * y)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |x, y| x / y)
    }

    // Not f32::mul_add: without the instruction that is a call into libm per element.
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        self.mul(b).add(c)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |x, y| if x > y { x } else { y })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |x, y| if x < y { x } else { y })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.map(f32::abs)
    }

    #[inline(always)]
    fn select_gt(self, other: Self, yes: Self, no: Self) -> Self {
        let mut out = no.0;
        for (lane, x) in out.iter_mut().enumerate() {
            if self.0[lane] > other.0[lane] {
                *x = yes.0[lane];
            }
        }
        Portable(out)
    }

    // Adding and subtracting 1.5 * 2^23 leaves the integer nearest, in the rounding mode ties to even.
    #[inline(always)]
    fn round(self) -> Self {
        const MAGIC: f32 = 12_582_912.0;
        self.map(|x| (x + MAGIC) - MAGIC)
    }

    #[inline(always)]
    fn exp2_integral(self) -> Self {
        self.map(|x| f32::from_bits(((x as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn mantissa_exponent(self) -> (Self, Self) {
        let mantissa = self.map(|x| f32::from_bits((x.to_bits() & 0x007f_ffff) | 0x3f80_0000));
        let exponent = self.map(|x| (x.to_bits() >> 23) as i32 as f32 - 127.0);
        (mantissa, exponent)
    }
}
