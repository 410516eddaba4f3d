//! The library as its users see it.
//!
//! One program, not one for each file: networks are generic over backends and elements, and each program would compile them
//! again. `cargo test -p gannet --test library options` runs the tests of one file.

mod accumulation;
mod export;
mod files;
mod following;
mod further_inputs;
mod keras;
mod layers;
mod optimisers;
mod own_kinds;
mod own_layers;
mod ranks;
mod recipes;
mod skips;
mod training;

#[cfg(feature = "cpu")]
mod compiled;
#[cfg(feature = "cpu")]
mod frozen;
#[cfg(feature = "cpu")]
mod options;
