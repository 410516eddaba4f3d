//! The instruction set, chosen once when the backend is made.

#[cfg(target_arch = "x86_64")]
use crate::simd::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use crate::simd::avx512::Avx512;
#[cfg(target_arch = "aarch64")]
use crate::simd::neon::Neon;
use crate::simd::portable::Portable;
use crate::simd::{Job, Simd};
use std::fmt;

/// An instruction set that the kernels are compiled for. A value exists only for a set that this CPU has:
/// [`Isa::detect`] and [`Isa::available`] are the only sources.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Isa(Set);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Set {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

/// The environment variable that forces an instruction set.
pub const ISA_VARIABLE: &str = "GANNET_ISA";

const ALL: &str = "avx512, avx2, neon or portable";

/// `GANNET_ISA` names an instruction set that does not exist or that this CPU lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsaError(String);

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for IsaError {}

impl Isa {
    /// The instruction sets of this CPU, fastest first. `portable` is always the last.
    pub fn available() -> Vec<Isa> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && avx2() {
                sets.push(Isa(Set::Avx512));
            }
            if avx2() {
                sets.push(Isa(Set::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        sets.push(Isa(Set::Neon));
        sets.push(Isa(Set::Portable));
        sets
    }

    /// The fastest instruction set of this CPU, or the one that `GANNET_ISA` asks for.
    pub fn detect() -> Result<Isa, IsaError> {
        match std::env::var(ISA_VARIABLE) {
            Ok(name) => Isa::named(&name),
            Err(std::env::VarError::NotPresent) => Ok(Isa::available()[0]),
            Err(std::env::VarError::NotUnicode(_)) => Isa::named("(not unicode)"),
        }
    }

    /// The instruction set of that name: `avx512`, `avx2`, `neon` or `portable`.
    pub fn named(name: &str) -> Result<Isa, IsaError> {
        let sets = Isa::available();
        sets.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| {
            let here: Vec<_> = sets.iter().map(|isa| isa.name()).collect();
            IsaError(format!(
                "{ISA_VARIABLE} must be one of {ALL}; this machine has {}, got {name:?}",
                here.join(", ")
            ))
        })
    }

    /// The name that [`Isa::named`] takes.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
            Set::Portable => "portable",
        }
    }

    /// Runs a job compiled for this instruction set.
    ///
    /// # Safety
    /// As for [`Job::run`].
    #[inline]
    pub(crate) unsafe fn run<J: Job>(self, job: J) -> J::Output {
        // SAFETY: the caller vouches for the job.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => Avx512::apart(job),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => Avx2::apart(job),
                #[cfg(target_arch = "aarch64")]
                Set::Neon => Neon::apart(job),
                Set::Portable => Portable::apart(job),
            }
        }
    }

    /// Rows and columns of the microkernel.
    pub(crate) fn sizes(self) -> (usize, usize) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => (Avx512::MR, Avx512::NR),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => (Avx2::MR, Avx2::NR),
            #[cfg(target_arch = "aarch64")]
            Set::Neon => (Neon::MR, Neon::NR),
            Set::Portable => (Portable::MR, Portable::NR),
        }
    }

    /// Elements of a vector.
    pub(crate) fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => Avx2::LANES,
            #[cfg(target_arch = "aarch64")]
            Set::Neon => Neon::LANES,
            Set::Portable => Portable::LANES,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(target_arch = "x86_64")]
fn avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_set_comes_first_and_portable_last() {
        let sets = Isa::available();
        assert_eq!(sets.last().map(|isa| isa.name()), Some("portable"));
        for isa in sets {
            assert_eq!(Isa::named(isa.name()), Ok(isa));
        }
    }

    #[test]
    fn an_unknown_set_is_an_error_that_lists_the_known_ones() {
        let message = Isa::named("sse9").unwrap_err().to_string();
        for word in ["GANNET_ISA", "avx512", "avx2", "neon", "portable", "sse9"] {
            assert!(message.contains(word), "{message}");
        }
    }
}
