//! The fast CPU backend of Gannet: [`Cpu`] runs plans by hand-written kernels, vectorised for AVX-512, AVX2
//! with FMA, NEON, or whatever the compiler makes of portable code, on a fixed number of threads.
//!
//! To read how a convolution is computed, begin with `conv.rs` (geometry: which windows meet which taps),
//! then `gemm/pack.rs` (windows, packed straight from the image), `gemm/microkernel.rs` (the arithmetic and
//! the epilogue) and `gemm/mod.rs` (blocks and threads). Every kernel is written once, generic over the
//! vector type of `simd/`; `isa.rs` chooses the instruction set, once, at run time. `kernels/` has what
//! each operation needs beyond that; an operation that is not there runs by its reference loops.

mod aligned;
mod backend;
mod context;
mod conv;
mod distances;
mod gemm;
mod isa;
mod kernel;
mod kernels;
mod math;
mod moments;
mod peak;
mod simd;
mod strided;
mod threads;

pub use backend::{Cpu, Executable, Storage, Timing};
pub use distances::squared_distances;
pub use isa::{ISA_VARIABLE, Isa, IsaError};
pub use kernels::Way;
