//! Gannet programs as plain data, without a GPU.
//!
//! A [`Plan`](gannet_tensor::Plan) says which operations run over which memory. [`Dispatches`] says the same as a
//! device needs it: buffers, what is written to them once, parameters, and dispatches of shaders that bind parts of
//! buffers. It is a function of the plan and of a device's [`Limits`], and what `gannet-gpu` runs; a [`ProgramFile`]
//! holds such programs with their shaders and the values of their variables, for runtimes that know nothing of this
//! engine, in a browser for instance.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use gannet_dispatch::{Dispatches, Layout, Limits, ProgramFile, supports};
//! use gannet_tensor::Graph;
//!
//! let graph = Graph::new();
//! let y = (graph.input("x", [4]) * graph.variable("w", [4])).tanh();
//! let plan = graph.plan().output("y", y).build()?.lowered(supports)?;
//!
//! let program = Dispatches::new(&plan, &Layout::new(&plan), Limits::default())?;
//! let weights = BTreeMap::from([("w".into(), vec![0.5, 1.0, 1.5, 2.0])]);
//! let file = ProgramFile::new(BTreeMap::from([("run".into(), program)]), weights)?;
//! assert_eq!(ProgramFile::parse(&file.to_bytes()?)?, file);
//! # Ok::<(), gannet_tensor::Error>(())
//! ```

#![forbid(unsafe_code)]

mod buffer;
mod check;
mod dispatches;
mod drafts;
mod launches;
mod layout;
mod limits;
mod products;
mod program_file;
mod shader_text;

pub use buffer::{Buffer, BufferKind, Contents, Region, buffer_bytes};
pub use dispatches::{Dispatch, Dispatches, Named};
pub use launches::{launches, supports};
pub use layout::Layout;
pub use limits::Limits;
pub use products::{Product, Tiles, products};
pub use program_file::{ProgramFile, VERSION};
pub use shader_text::{ShaderAccess, ShaderBinding, ShaderText};

/// Its snippet is run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
