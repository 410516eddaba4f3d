//! A model as a web page: its generator runs in the browser, on WebGPU, by the shaders of this engine, and is trained there by
//! the same, and the page needs nothing else; or it runs in this process, which serves the page.

mod dispatches;
mod forward;
mod operation;
mod packed;
mod page;
mod sampler;
mod served;
mod training;
mod training_page;
mod training_set;

pub(crate) use page::page;
pub(crate) use served::serve;
pub(crate) use training_set::TrainingSet;
