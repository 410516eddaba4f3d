//! The case list and the test binaries of Gannet.
