//! The ranks of a run that MPI starts: `Mpi` is a [`Collective`](gannet::collective::Collective) of its processes.
//!
//! All of it is behind the feature `mpi`, for it takes an installed MPI to build.

#![forbid(unsafe_code)]

#[cfg(feature = "mpi")]
mod world;

#[cfg(feature = "mpi")]
pub use world::Mpi;
