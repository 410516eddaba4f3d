//! A model as one web page that needs nothing else: its generator runs in the browser, on WebGPU, by the shaders of this
//! engine.

mod page;
mod sampler;

pub(crate) use page::page;
