//! The case list, and what the test binaries and benchmarks share.
//!
//! A row of the list (`rows/`) says how to draw cases of one operation: shapes, parameters, and a domain of
//! values for each input that keeps away from kinks and singularities. Every row gets three properties,
//! one test binary each: `gradients.rs`, `fusion.rs`, and `backends/backends.rs`, which is in a package of its own. To add an operation, add a function
//! here under its name and the name to [`for_each_row!`]; `case_list.rs` fails until that is done.

mod agreement;
mod case;
mod evaluation;
mod random;
mod rounding;
pub mod rows;
pub mod shapes;
mod trial;

pub use agreement::agrees_with_reference;
pub use case::{Case, Derivative, Domain, Leaf, Row, leaf, node};
pub use evaluation::Evaluation;
pub use random::Random;
pub use rounding::{Rounding, definition, deviation};
pub use trial::{Gradients, Trial, check, evaluate};
