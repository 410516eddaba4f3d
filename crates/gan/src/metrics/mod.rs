//! Metrics of generated images against real ones.
//!
//! Most of them compare [`Features`]: the vectors that a [`Classifier`] gives for images. Where there are no classes to
//! learn, it learns from the pictures alone ([`SelfSupervision`]). None of these numbers is comparable with one that was computed with other features, and none is an FID, for that is defined by the
//! Inception network of Heusel et al. (2017).
//!
//! Images are rounded to bytes first ([`quantise`]), as a file would, and a score is read beside its floor: what
//! a second set of real images of the same size gets.
//!
//! | metric | what it measures | file |
//! |---|---|---|
//! | [`FrechetStatistics`] | distance of means and covariances | `frechet.rs` |
//! | [`Kid`] | unbiased squared maximum mean discrepancy | `kid.rs` |
//! | [`Prdc`] | precision and density (fidelity), recall and coverage (diversity) | `prdc.rs` |
//! | [`ClassHistogram`] | how often each class is generated | `histogram.rs` |
//! | [`SlicedWasserstein`] | distance of small patches at each scale, without any network | `sliced.rs` |
//! | [`Memorisation`] | copies of training images | `memorisation.rs` |
//!
//! All of them give the same bits for any number of threads.

mod classifier;
mod distance;
mod features;
#[cfg(test)]
mod fixture;
mod frechet;
mod histogram;
mod kid;
mod memorisation;
mod prdc;
mod pyramid;
mod quantise;
mod self_supervision;
mod sliced;

pub use classifier::{Classified, Classifier, ClassifierRecord, ClassifierStep, ClassifierTraining};
pub use features::Features;
pub use frechet::FrechetStatistics;
pub use histogram::ClassHistogram;
pub use kid::{Kid, KidOptions};
pub use memorisation::{Closeness, Memorisation, Neighbour, nearest_neighbours};
pub use prdc::{Manifold, Prdc};
pub use quantise::{dequantise, quantise};
pub use self_supervision::SelfSupervision;
pub use sliced::{ScaleDistance, SlicedOptions, SlicedWasserstein};
