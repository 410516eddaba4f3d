//! Shapes, graphs, differentiation, programs and the reference backend of Gannet.
//!
//! A computation is traced once into a [`Graph`] through [`Var`] handles, differentiated symbolically
//! by [`grad`], planned into a [`Plan`] and run many times as a [`Program`] on a [`Backend`]:
//!
//! ```
//! use gannet_tensor::{Graph, Program, Reference, Variables, grad};
//!
//! let graph = Graph::new();
//! let x = graph.input("x", [3]);
//! let y = (x * x).sum_all();
//! let dx = grad(y, &[x]).unwrap()[0];
//!
//! let backend = Reference::<f64>::new();
//! let plan = graph.plan().output("dx", dx).build().unwrap();
//! let mut program = Program::new(&backend, plan, &Variables::new()).unwrap();
//! program.write("x", &[1.0, 2.0, 3.0]).unwrap();
//! program.run().unwrap();
//! assert_eq!(program.read("dx").unwrap(), [2.0, 4.0, 6.0]);
//! ```
//!
//! To read how an operation and its derivative are computed, open `ops/NAME.rs` (shape rule and vjp)
//! and `reference/NAME.rs` (plain loops from the definition).

#![forbid(unsafe_code)]

mod backend;
mod element;
mod error;
mod fuse;
mod geometry;
mod grad;
mod graph;
mod launch;
pub mod ops;
mod plan;
mod program;
pub mod reference;
mod shape;
mod tensor_ref;
mod tiling;

pub use backend::Backend;
pub use element::Element;
pub use error::{Error, Result};
pub use geometry::{Conv2dGeometry, Padding, Pool2dGeometry};
pub use grad::{grad, grad_or_zeros, vjp};
pub use graph::{Gradients, Graph, NodeId, NodeKind, Operation, Var, Vjp};
pub use plan::{BufferKind, BufferSpec, Instruction, Plan, PlanBuilder, View};
pub use program::{Program, Variables};
pub use reference::{Fault, Probe, Reference};
pub use shape::{MAX_RANK, Shape};
pub use tensor_ref::{TensorMut, TensorRef};
