//! The wgpu backend of Gannet: runs programs on any GPU that Vulkan, Metal or DirectX 12 reaches.
//!
//! The backend knows no operation by name. An operation describes its dispatches as data
//! ([`Operation::launch`](gannet_tensor::Operation::launch)): shaders, parameters, grids and buffers. `gannet-dispatch`
//! makes [`Dispatches`](gannet_dispatch::Dispatches) of a plan, as data too. What is left is here: choosing an adapter,
//! pipelines, buffers, bind groups and one submission per run.

mod adapter;
mod buffer;
mod device;
mod executable;
mod gpu;
mod peak;
mod pipelines;
mod profile;
mod readback;
mod stopwatch;
mod tile_times;
mod verify;

pub use adapter::{AdapterDescription, adapters, has_gpu};
pub use buffer::Storage;
pub use device::{Counters, Options, Wgpu};
pub use executable::Executable;
pub use gannet_dispatch::{Product, Tiles, launches, products};
pub use gannet_shaders::Tile;
pub use peak::Peak;
pub use pipelines::Progress;
pub use profile::DispatchTime;
pub use tile_times::TileTimes;
pub use verify::{Report, Verdict, Verifier};
