//! The WGSL compute shaders of Gannet, checked when they are built.
