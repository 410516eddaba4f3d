//! Trained models for other programs: PyTorch ([`torch`]), ONNX ([`onnx`]), NumPy ([`npz`]); [`Sampler`], what draws
//! images as a plan; and [`Trainer`], what a training step runs as plans.
//!
//! Gannet's images lie as [H, W, C], those of PyTorch and ONNX as [C, H, W]. The exported models take and give images
//! as [N, C, H, W], and their weights are turned accordingly, each by itself. Where Gannet flattens an image, or makes
//! one from a vector, the exported model turns it explicitly, so that the order of the numbers in a vector is the same
//! in both. Samples of another number of axes than three lie as in Gannet.
//!
//! - The generator's weights and running statistics are those of its average where there is one: what
//!   [`Gan::generate`](crate::Gan::generate) uses.
//! - A generator with clusters takes the classes of the data and draws the cluster from the last of the latents, as
//!   [`Gan::generate`](crate::Gan::generate) does.
//! - A weight under spectral normalisation is exported divided by its norm.
//! - A layer that is not one of this crate's has a meaning that only its trace knows: an error names it.

// Not part of the interface: what the event files of the program are made of too.
#[doc(hidden)]
pub mod crc32;
mod directions;
mod network;
pub mod npz;
pub mod onnx;
#[doc(hidden)]
pub mod protobuf;
mod sampler;
mod signature;
mod test_vectors;
pub mod torch;
mod trainer;
mod weights;

pub use sampler::Sampler;
pub use signature::Signature;
pub use test_vectors::test_vectors;
pub use trainer::{Augmented, Input, Steps, TensorPlace, Trainer};
pub(crate) use weights::Weights;

pub use crate::description::Piece;

use gannet_tensor::{Backend, Shape};

use crate::gan::Gan;
use crate::model::Model;

/// One of the two models of a GAN. What model files call `parts` are [clusters](crate::GanConfig::clusters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From latents to images.
    Generator,
    /// From images to scores.
    Discriminator,
}

impl Part {
    /// The name of the input: `latents` or `images`. Models with classes have a second one, `labels`.
    pub fn input(self) -> &'static str {
        match self {
            Part::Generator => "latents",
            Part::Discriminator => "images",
        }
    }

    /// The name of the output: `images` or `scores`.
    pub fn output(self) -> &'static str {
        match self {
            Part::Generator => "images",
            Part::Discriminator => "scores",
        }
    }

    pub(crate) fn model<B: Backend>(self, gan: &Gan<B>) -> &Model {
        match self {
            Part::Generator => gan.generator(),
            Part::Discriminator => gan.discriminator(),
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Part::Generator => "generator",
            Part::Discriminator => "discriminator",
        })
    }
}

/// The shape of a sample where channels come first, if it is an image.
fn channels_first(sample: Shape) -> Vec<usize> {
    match *sample.dims() {
        [h, w, c] => vec![c, h, w],
        ref dims => dims.to_vec(),
    }
}

/// An output that a layer of a model that is written down keeps for later ones.
#[derive(Clone, Debug)]
struct Kept {
    /// What it is called there.
    value: String,
    channels: Channels,
    /// The shape of a sample.
    shape: Shape,
}

/// Where the channels of a batch lie while a model is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channels {
    /// [N, C, ..], as PyTorch and ONNX compute.
    First,
    /// [N, .., C], as Gannet does.
    Last,
}

impl Channels {
    /// How a sample enters and leaves an exported model.
    fn outside(sample: Shape) -> Channels {
        if sample.rank() == 3 { Channels::First } else { Channels::Last }
    }

    /// The permutation of the axes of a batch that brings samples of this shape from one order to the other.
    fn permutation(self, to: Channels, sample: Shape) -> Option<Vec<usize>> {
        let rank = sample.rank();
        if self == to || rank < 2 {
            return None;
        }
        let mut axes: Vec<usize> = (0..=rank).collect();
        match to {
            Channels::First => axes[1..].rotate_right(1),
            Channels::Last => axes[1..].rotate_left(1),
        }
        Some(axes)
    }
}
