//! Penalties on the discriminator's gradient with respect to images. The gradient is part of the graph, so the
//! penalty is differentiated again with respect to the weights: second order, nothing approximated.

mod squared_gradient_norms;
mod wgan_gp;
mod zero_centred;

use gannet_tensor::Var;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use wgan_gp::wgan_gp;
use zero_centred::zero_centred;

/// A penalty on the discriminator's gradient with respect to images, added to its loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Penalty {
    /// `weight` E (||grad D(x)|| - 1)^2 at random points between real and generated images (Gulrajani et al. 2017).
    WganGp {
        /// 10 in the paper.
        weight: f64,
        /// Computed in every so many steps, and then that many times as strong.
        #[serde(default = "always")]
        every: u64,
    },
    /// `gamma` / 2 E ||grad D(x)||^2 at real images (Mescheder et al. 2018).
    R1 {
        /// Its weight, twice.
        gamma: f64,
        /// Computed in every so many steps, and then that many times as strong (Karras et al. 2020).
        #[serde(default = "always")]
        every: u64,
    },
    /// `gamma` / 2 E ||grad D(x)||^2 at generated images (Mescheder et al. 2018).
    R2 {
        /// Its weight, twice.
        gamma: f64,
        /// Computed in every so many steps, and then that many times as strong.
        #[serde(default = "always")]
        every: u64,
    },
}

fn always() -> u64 {
    1
}

impl Penalty {
    /// How many steps there are from one computation to the next.
    pub fn every(&self) -> u64 {
        match *self {
            Penalty::WganGp { every, .. } | Penalty::R1 { every, .. } | Penalty::R2 { every, .. } => every,
        }
    }

    /// Whether it is computed in this step, counted from 0.
    pub fn applies(&self, step: u64) -> bool {
        step.is_multiple_of(self.every().max(1))
    }

    /// The images at which the gradient is taken.
    pub(crate) fn points(&self) -> Points {
        match self {
            Penalty::WganGp { .. } => Points::Between,
            Penalty::R1 { .. } => Points::Real,
            Penalty::R2 { .. } => Points::Generated,
        }
    }

    /// What is added to the discriminator's loss in a step that computes it, where `scores` [N, 1] are the
    /// discriminator's of `images` [N, ..].
    pub(crate) fn trace<'g>(&self, scores: Var<'g>, images: Var<'g>) -> Result<Var<'g>> {
        let value = match *self {
            Penalty::WganGp { weight, .. } => wgan_gp(scores, images)? * weight,
            Penalty::R1 { gamma, .. } | Penalty::R2 { gamma, .. } => zero_centred(scores, images)? * gamma,
        };
        Ok(value * self.every() as f64)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let (Penalty::WganGp { weight: x, every }
        | Penalty::R1 { gamma: x, every }
        | Penalty::R2 { gamma: x, every }) = *self;
        if !(x.is_finite() && x >= 0.0) {
            return Err(Error::invalid(format!(
                "the weight of a penalty must be a number of at least 0, got {x}"
            )));
        }
        if every == 0 {
            return Err(Error::invalid("a penalty is computed every so many steps: at least 1, got 0"));
        }
        Ok(())
    }
}

/// The images at which a penalty takes the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Points {
    /// Random points between real and generated images.
    Between,
    /// Real images.
    Real,
    /// Generated images.
    Generated,
}
