//! What the tests of backends share: the golden files, and how a backend is checked against them.
//!
//! These tests are a package of their own, so that those of the case list, which need nothing but
//! gannet-tensor, are built without the backends.

pub mod golden;
#[cfg(doctest)]
mod guide;
