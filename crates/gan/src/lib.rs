//! Generative adversarial networks, trained by kernels written by hand.
//!
//! Two models are written layer by layer, as in Keras; a [`Gan`] traces their training step into one program for a
//! device, and runs it:
//!
//! ```
//! use gannet::layers::{Dense, LeakyRelu};
//! use gannet::{Adam, Gan, GanConfig, Reference, Sequential};
//!
//! let generator = Sequential::new("generator", [2]).add(Dense::new(8)).add(LeakyRelu::new(0.2)).add(Dense::new(2));
//! let critic = Sequential::new("discriminator", [2]).add(Dense::new(8)).add(LeakyRelu::new(0.2)).add(Dense::new(1));
//! let config = GanConfig::new(generator, critic).optimiser(Adam::new(1e-3).betas(0.5, 0.999)).batch_size(4);
//!
//! let mut gan = Gan::new(&Reference::<f32>::new(), config)?;
//! let losses = gan.train_on_batch(&[0.5; 8], None)?;
//! println!("{losses:?}");
//! let samples = gan.generate(&gan.latents(16, 0), None)?;
//! assert_eq!(samples.len(), 16 * 2);
//! # Ok::<(), gannet::Error>(())
//! ```
//!
//! - [`layers`], [`losses`], [`optimisers`], [`Schedule`] and [`Ema`]: what a GAN is made of.
//! - [`metrics`]: how good generated images are, beside real ones.
//! - [`presets`]: recipes that work, as model files to copy and change.
//! - [`recipe`]: networks that follow from what pictures there are.
//! - [`export`]: trained models for PyTorch, ONNX and NumPy.
//! - [`tensor`]: the engine below, for graphs, operations and programs of one's own.
//! - [`Gan::fit`] with [`Callback`]s and [`Checkpoint`]s: training over data.
//! - [`collective`]: the same steps shared by many ranks, with the same bytes.
//! - [`losses::AdversarialLoss`] and [`optimisers::UpdateRule`]: a loss and an optimiser of your own.
//! - [`Gan::save`] and [`Gan::load`]: safetensors files with everything that is needed to go on.
//!
//! | feature | what it adds |
//! |---|---|
//! | `cpu` (default) | `Cpu`, the fast CPU backend, and `metrics` |
//! | `gpu` | `Wgpu`, the backend for GPUs, and `gpu` with its options |
//!
//! Without either there is [`Reference`], every operation by its definition.

#![forbid(unsafe_code)]

mod accumulation;
mod activation;
mod augment;
mod chance;
mod checkpoint;
mod clusters;
pub mod collective;
mod compiled;
mod compiled_file;
mod compiled_fit;
mod config;
mod description;
mod eigen;
mod ema;
mod error;
pub mod export;
mod feeding;
mod fit;
mod gan;
mod gauges;
mod initialiser;
mod interpolation;
mod inversion;
mod judge;
mod kinds;
mod layer;
pub mod layers;
mod loss_queue;
pub mod losses;
#[cfg(feature = "cpu")]
pub mod metrics;
mod micro_batches;
mod model;
mod names;
mod objective;
pub mod optimisers;
mod options;
mod ordered_sum;
mod outputs;
mod parameters;
mod passes;
pub mod penalties;
mod pictures;
pub mod presets;
mod programs;
pub mod random;
pub mod recipe;
mod samples;
mod schedule;
mod seed;
mod sequential;
mod slots;
mod stacked;
mod step;
pub mod tensor_file;
mod told;
mod transfer;
mod update;

pub use activation::Activation;
pub use augment::Augment;
pub use clusters::{MAX_CLUSTERS, partition};
pub use compiled::{Compiled, Evaluation};
pub use compiled_fit::{BatchEnd, EarlyStopping, Epoch, Fit, FitCallback};
pub use config::GanConfig;
pub use ema::Ema;
pub use error::{Error, Result};
pub use fit::{Batch, Batches, Callback, Checkpoint};
pub use gan::Gan;
#[cfg(feature = "cpu")]
pub use gannet_cpu::Cpu;
#[cfg(feature = "gpu")]
pub use gannet_gpu as gpu;
#[cfg(feature = "gpu")]
pub use gannet_gpu::Wgpu;
pub use gannet_tensor as tensor;
pub use gannet_tensor::{
    Backend, Conv2dGeometry, Element, Fault, Gradients, Graph, MAX_RANK, Operation, Padding, Plan,
    PlanBuilder, Pool2dGeometry, Probe, Program, Reference, Shape, TensorMut, TensorRef, Var, Variables, Vjp,
    grad, grad_or_zeros, vjp,
};
pub use gauges::{Gauges, Verdicts};
pub use initialiser::Initialiser;
pub use inversion::{Inversion, Inverted};
pub use layer::{Blend, Context, Inputs, Layer, Mode, Parameter, Pass, State, States};
pub use loss_queue::{LATE_LOSSES, Losses, StepLosses};
pub use losses::Loss;
pub use micro_batches::{BatchRef, MicroBatches};
pub use model::{ALIGNMENT, LayerAt, Model, ParameterSlot, StateSlot};
pub use objective::Objective;
pub use optimisers::{Adam, AdamW, EpsForm, Optimiser, RmsProp, Sgd};
pub use options::Options;
pub use outputs::Outputs;
pub use parameters::Parameters;
pub use penalties::Penalty;
pub use random::Stream;
pub use samples::Samples;
pub use schedule::Schedule;
pub use seed::{noise, seed, set_seed};
pub use sequential::Sequential;
pub use stacked::Stacked;
