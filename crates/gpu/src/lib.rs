//! The wgpu backend of Gannet.
