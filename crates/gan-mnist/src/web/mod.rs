//! A model as one web page that needs nothing else: its generator runs in the browser, on WebGPU, by the shaders of this
//! engine, and is trained there by the same.

mod dispatches;
mod packed;
mod page;
mod sampler;
mod training;
mod training_page;
mod training_set;

pub(crate) use page::page;
pub(crate) use training_set::TrainingSet;
