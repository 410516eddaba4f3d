//! The GPU backend: its kernels, and the engine around them.

#[path = "gpu/device.rs"]
mod device;
#[path = "gpu/engine.rs"]
mod engine;
#[path = "gpu/kernels.rs"]
mod kernels;
