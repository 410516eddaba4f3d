//! The GPU backend: its kernels, and the engine around them.

#[path = "gpu/device.rs"]
mod device;
#[path = "gpu/engine.rs"]
mod engine;
#[path = "gpu/fusion.rs"]
mod fusion;
#[path = "gpu/gather.rs"]
mod gather;
#[path = "gpu/golden.rs"]
mod golden;
#[path = "gpu/kernels.rs"]
mod kernels;
#[path = "gpu/pipelines.rs"]
mod pipelines;
#[path = "gpu/tiles.rs"]
mod tiles;
